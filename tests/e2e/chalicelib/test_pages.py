"""The pages in a real browser: headless Chromium over the real API, on the embedded endpoint's tables.

The browser is the system's (Debian: `chromium`), driven by Playwright.  Where there is none these tests
skip, and in CI they fail.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chalice.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from chalicelib import wiring
from chalicelib.api import auth
from tests.support import api_process, names, tokens
from tests.support.api_client import at, keep, notes
from tests.support.lambda_events import wire

SCRIPT = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
LONG = "SN-" + "X" * 120
TOKEN = auth.new_token()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine; on Debian: apt-get install chromium")
        pytest.skip("no Chromium on this machine")
    # As root Chromium has no sandbox of its own; the pages are ours.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=options)
        yield running
        running.close()


@pytest.fixture(scope="module")
def stage_with_products(
    browser: Browser, endpoint_url: str, _stage_of_module: str
) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint_url)
        environment.setenv("LIFECYCLE_STAGE", _stage_of_module)
        environment.setenv("LIFECYCLE_PARTIAL_RESPONSES", "on")
        wiring.reset()
        from app import app

        with Client(app, stage_name="test") as client:
            keep(
                client,
                wire("SN-1", "production", at(1), source="plant-7", metadata={"line": "B", "n": 1.5}),
                wire("SN-1", "theft", at(2), source=SCRIPT, event_id=SCRIPT, metadata={SCRIPT: [SCRIPT]}),
                wire("SN-1", "service", at(3), metadata={"dealer": "Zoë & Söhne"}),
                *notes(10, "SN-1", type="inspection"),
                *notes(220, "SN-2"),
                wire(LONG, "production", at(1), source="s" * 128, metadata={"x" * 300: "y" * 900}),
            )
        tokens.make("browser", secret=TOKEN)
        yield environment


@pytest.fixture(scope="module")
def url(stage_with_products: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("open") / "log", names.open_to_everybody()) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(
    stage_with_products: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("guarded") / "log") as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must load nothing from elsewhere and break no rule of its own."""
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
    yield page
    assert not complaints
    assert hosts <= {"127.0.0.1", ""}  # "": blob: and data:


def events_shown(page: Page) -> int:
    return page.locator("#timeline > li").count()


def test_searching_shows_a_product(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Serial number").fill(" SN-1 ")
    page.get_by_role("button", name="Find").click()

    expect(page).to_have_url(f"{url}/products/SN-1")
    expect(page).to_have_title("SN-1 · Stolen")
    expect(page.get_by_role("heading", level=1)).to_have_text("SN-1")
    expect(page.locator(".badge")).to_have_text("Stolen")
    assert events_shown(page) == 13


def test_the_whole_page_can_be_used_by_keyboard(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-1")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(3):  # what is odd, the first fold, and onwards
        page.keyboard.press("Tab")
    fold = page.locator("details").filter(has=page.locator("summary:focus"))
    assert fold.get_attribute("open") is None
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None


def test_metadata_is_folded_and_opens(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-1")
    service = page.locator("#timeline > li", has_text="Service")
    expect(service.get_by_text("Zoë & Söhne")).not_to_be_visible()

    service.locator("summary").click()

    expect(service.get_by_text("Zoë & Söhne")).to_be_visible()


def test_what_is_odd_is_called_out_and_leads_to_its_event(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 800, "height": 300})
    page.goto(f"{url}/products/SN-1")
    event = page.locator("#timeline > li", has_text="Odd:")

    page.get_by_role("region", name="1 thing looks odd").get_by_role(
        "link", name="Service while stolen"
    ).click()

    expect(event).to_be_in_viewport()
    assert page.url.endswith("#" + str(event.get_attribute("id")))


def test_a_script_in_any_field_is_text(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-1")
    page.locator("#timeline > li", has_text="Theft").locator("summary").click()

    expect(page.get_by_text("<script>document.title").first).to_be_visible()
    expect(page).to_have_title("SN-1 · Stolen")
    assert page.locator("main script, main img").count() == 0


def test_older_events_are_loaded_in_place(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-2")
    assert events_shown(page) == 50

    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#timeline > li")).to_have_count(150)
    expect(page.get_by_role("status")).to_have_text("100 more events")
    expect(page.locator("#timeline > li").nth(50)).to_be_focused()
    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#timeline > li")).to_have_count(220)

    expect(page.get_by_role("link", name="Older events")).to_have_count(0)
    expect(page).to_have_url(f"{url}/products/SN-2")
    ids = page.locator("#timeline > li").evaluate_all("all => all.map(each => each.id)")
    assert len(set(ids)) == 220


def test_everything_works_without_javascript(browser: Browser, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Serial number").fill("SN-2")
    page.get_by_role("button", name="Find").click()
    seen = events_shown(page)
    for _ in range(2):
        page.get_by_role("link", name="Older events").click()
        seen += events_shown(page)
    expect(page.get_by_role("link", name="Older events")).to_have_count(0)
    page.locator("summary").first.click()

    assert seen == 220
    expect(page.locator("details").first.locator("dl").first).to_be_visible()
    context.close()


def test_an_unknown_product_has_a_page_that_leads_on(page: Page, url: str) -> None:
    response = page.goto(f"{url}/products/NOPE")

    assert response is not None
    assert response.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is known here")
    expect(page.get_by_text("no history for product 'NOPE'")).to_be_visible()
    page.get_by_role("link", name="Look for another product").click()
    expect(page).to_have_url(f"{url}/")


@pytest.mark.parametrize("path", ["/", "/products/SN-1", f"/products/{LONG}", f"/products/{LONG}/events"])
def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, url: str, path: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(url + path)
    for summary in page.locator("summary").all():
        summary.click()

    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_colour_schemes(browser: Browser, url: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, measured as it is drawn."""
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    measured = {}
    for path in ("/", "/products/SN-1", "/products/NOPE"):
        page.goto(url + path)
        measured.update(page.evaluate(CONTRAST))
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"

    assert dark == (scheme == "dark")
    assert len(measured) > 20
    assert not {what: ratio for what, ratio in measured.items() if ratio < 4.5}
    context.close()


def test_paper_gets_what_is_folded_and_no_controls(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-1")
    page.emulate_media(media="print")

    fact = page.locator("#timeline > li", has_text="Production").locator("dd", has_text="B").first
    assert fact.evaluate("fact => fact.checkVisibility() && fact.getBoundingClientRect().height > 0")
    expect(page.get_by_role("button", name="Find")).not_to_be_visible()
    expect(page.locator(".downloads")).not_to_be_visible()


def test_the_shell_asks_for_a_token_and_keeps_it_in_this_tab_only(
    page: Page, context: BrowserContext, guarded: str
) -> None:
    response = page.goto(f"{guarded}/products/SN-2")
    assert response is not None
    assert response.status == 401
    assert "SN-2" not in page.locator("main").inner_text(), "nothing is shown before"

    page.get_by_label("Access token").fill("lch_wrong")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This token is not accepted")
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SN-2")
    expect(page).to_have_title("SN-2 · Unknown")
    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#timeline > li")).to_have_count(150)

    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("SN-2")
    assert context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    other = context.new_page()
    other.goto(f"{guarded}/products/SN-2")
    expect(other.get_by_label("Access token")).to_be_visible()
    other.close()


def test_what_cannot_be_a_token_is_said_to_be_none_and_is_not_kept(page: Page, guarded: str) -> None:
    page.goto(f"{guarded}/products/SN-2")
    page.get_by_label("Access token").fill(f"“{TOKEN}”")  # as chats and word processors quote
    page.get_by_role("button", name="Show").click()

    expect(page.locator("#refusal")).to_contain_text("That cannot be a token")
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SN-2")


def test_the_shell_says_so_when_nobody_answers_and_keeps_the_token(
    page: Page, context: BrowserContext, guarded: str
) -> None:
    page.goto(f"{guarded}/products/SN-2")
    context.set_offline(True)
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Show").click()

    expect(page.locator("#refusal")).to_contain_text("No answer came")
    context.set_offline(False)
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SN-2")


def test_what_is_taken_along_comes_with_the_token_and_forgetting_it_closes_the_page(
    page: Page, guarded: str
) -> None:
    page.goto(f"{guarded}/products/SN-1")
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Show").click()

    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV", exact=True).click()
    rows = Path(waiting.value.path()).read_text().splitlines()
    assert waiting.value.suggested_filename == "SN-1.csv"
    assert rows[0].startswith("serial,position,type")
    assert sum(row.startswith("SN-1,") for row in rows) == 13

    page.get_by_role("button", name="Forget the token").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_token_goes_nowhere_but_into_its_header(page: Page, guarded: str) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(f"{guarded}/products/SN-1")
    page.get_by_label("Access token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("SN-1")

    assert len(addresses) >= 4
    assert not [address for address in addresses if TOKEN in address]
    assert TOKEN not in page.content()


#: Contrast of every element that has text of its own, against the nearest background that is painted.
CONTRAST = """
() => {
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
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [text, ground] = [channels(getComputedStyle(element).color), painted(element)].map(luminance);
    const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    const name = [location.pathname, element.tagName, element.className, element.parentElement.className];
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return found;
}
"""
