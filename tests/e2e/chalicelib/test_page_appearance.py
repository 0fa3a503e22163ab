"""How the pages look in a real browser: on a narrow screen, in both colour schemes, on paper."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from chalicelib.api import timeline
from chalicelib.domain import lifecycle
from cli.paths import ROOT
from tests.support.browsing import LONG


@pytest.mark.parametrize(
    "path", ["/", "/products/SN-1", "/products/nope", f"/products/{LONG}", f"/products/{LONG}/events"]
)
def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, url: str, path: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(url + path)
    for summary in page.locator("summary:visible").all():
        summary.click()

    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_colour_schemes(browser: Browser, url: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, measured as it is drawn."""
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    measured: dict[str, float] = {}
    marks: dict[str, float] = {}
    for path in (
        "/",
        "/products/SN-1",
        "/products/SN-5",
        "/products/SN-1/events?type=theft",
        "/products/NOPE",
    ):
        page.goto(url + path)
        if page.locator("#open-all").count():
            page.locator("#open-all").click()
        measured.update(page.evaluate(CONTRAST))
        marks.update(page.evaluate(MARKS))
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"

    assert dark == (scheme == "dark")
    assert len(measured) > 20
    assert not {what: ratio for what, ratio in measured.items() if ratio < 4.5}
    assert len(marks) >= 6
    assert not {what: ratio for what, ratio in marks.items() if ratio < 3}, "WCAG 2.2, 1.4.11"
    context.close()


def test_no_two_kinds_have_the_same_mark() -> None:
    """Seen without colour a mark still tells its kind."""
    marks = (ROOT / "chalicelib" / "api" / "templates" / "marks.svg").read_text()
    shapes = dict(re.findall(r'<symbol id="m-(\w+)"[^>]*>(.*?)</symbol>', marks))

    assert set(shapes) == {*lifecycle.KINDS, timeline.OTHER}
    assert len(set(shapes.values())) == len(shapes)


def test_paper_gets_what_is_folded_and_no_controls(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-1")
    page.emulate_media(media="print")
    expect(page.locator("#kinds")).not_to_be_visible()

    fact = page.locator("#timeline .event", has_text="Production").locator("dd", has_text="B").first
    assert fact.evaluate("fact => fact.checkVisibility() && fact.getBoundingClientRect().height > 0")
    expect(page.get_by_role("button", name="Find")).not_to_be_visible()
    expect(page.locator(".downloads")).not_to_be_visible()


#: The contrast of an element's colour against the nearest background that is painted (WCAG 2.2).
RATIO = """
  const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const painted = (element) => {
    for (; element; element = element.parentElement) {
      const colour = channels(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (element) => {
    const [one, other] = [channels(getComputedStyle(element).color), painted(element)].map(luminance);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
"""


#: Contrast of every element that has text of its own.
CONTRAST = f"""
() => {{
{RATIO}
  const found = {{}};
  for (const element of document.querySelectorAll("body *")) {{
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const name = [location.pathname, element.tagName, element.className, element.parentElement.className];
    found[name] = Math.min(found[name] ?? 99, ratio(element));
  }}
  return found;
}}
"""


#: Contrast of every mark.
MARKS = f"""
() => {{
{RATIO}
  return Object.fromEntries([...document.querySelectorAll(".mark")].map(
    (mark) => [mark.getAttribute("class") + (mark.closest("nav") ? " chip" : ""), ratio(mark)],
  ));
}}
"""
