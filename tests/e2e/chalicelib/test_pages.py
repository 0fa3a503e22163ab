"""The pages in a real browser: headless Chromium over the real API, on the embedded endpoint's tables.

The browser is the system's (Debian: `chromium`), driven by Playwright.  Where there is none these tests
skip, and in CI they fail.
"""

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chalice.test import Client
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from chalicelib import wiring
from chalicelib.api import auth, timeline
from chalicelib.domain import lifecycle
from cli.paths import ROOT
from tests.support import api_process
from tests.support.api_client import at, keep, notes
from tests.support.lambda_events import wire

SCRIPT = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
LONG = "SN-" + "X" * 120
TOKEN, ENTRY = auth.create("browser")


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
                *notes(1080, "SN-3"),
                wire("SN-3", "service", at(9000), metadata={"price": 1.5, "text": 'a "quoted", [text]'}),
                *[wire("SN-4", "warranty", at(-n * 864_000), metadata={"n": n}) for n in range(60)],
                wire("SN-4", "note", at(-60 * 864_000), metadata={"city": "Ulm"}),
                wire("SN-4", "inventory", at(1), metadata={"text": "w" * 500}),
                wire("SN-5", "theft", at(1), metadata={"city": "Ulm"}),
                *[wire("SN-5", "service", at(n + 2), metadata={"n": n}) for n in range(60)],
                wire("SN-6", "theft", at(1)),
                wire(LONG, "production", at(1), source="s" * 128, metadata={"x" * 300: "y" * 900}),
            )
            for serial in ("SN-5", "SN-6"):
                (stolen,) = wiring.history().page(serial, limit=None, type_="theft").events
                named = {"position": stolen.position, "why": "entered twice"}
                keep(client, wire(serial, "void", at(70), metadata=named))
        yield environment


@pytest.fixture(scope="module")
def url(stage_with_products: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("open") / "log", {"LIFECYCLE_OPEN": "yes"}) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(
    stage_with_products: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("guarded") / "log", {"LIFECYCLE_TOKENS": ENTRY}) as running:
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
    return page.locator("#timeline .event:visible").count()


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
    def focused(selector: str) -> Locator:
        """Tab until this has the focus; everything on the way must show that it has it."""
        for _ in range(20):
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", page.evaluate("document.activeElement.outerHTML")
            found = page.locator(f"{selector}:focus")
            if found.count():
                return found
        raise AssertionError(f"{selector} cannot be reached")

    page.goto(f"{url}/products/SN-1")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    focused(".oddities a")
    focused("#open-all")
    focused("#kinds a[data-type=theft]")
    page.keyboard.press("Enter")
    assert events_shown(page) == 1
    fold = page.locator("#timeline details").filter(has=focused("summary"))
    assert fold.get_attribute("open") is None
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None
    focused(".data")


def test_fifty_events_are_a_few_screens(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{url}/products/SN-4")

    assert events_shown(page) == 50
    lines = page.locator("#timeline summary").evaluate_all("all => all.map(each => each.offsetHeight)")
    assert max(lines) < 45, "one line an event"
    assert page.evaluate("document.documentElement.scrollHeight") < 3000


def test_a_type_is_filtered_in_place_and_the_older_events_are_offered(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-5")
    chips = page.get_by_role("navigation", name="Filter by type")
    expect(chips.get_by_role("link")).to_have_text(["All types 50", "Service 49", "Void 1"])

    chips.get_by_role("link", name="Void").click()
    assert events_shown(page) == 1
    expect(chips.get_by_role("link", name="Void")).to_have_attribute("aria-current", "true")
    expect(page.locator("#shown")).to_contain_text("1 of the 50 events loaded.")

    page.get_by_role("link", name="Older events").click()
    expect(chips.get_by_role("link")).to_have_text(["All types 62", "Service 60", "Void 1", "Theft 1"])
    expect(page.locator("#count")).to_have_text("62")
    assert events_shown(page) == 1
    chips.get_by_role("link", name="Theft").click()
    expect(page.locator("#shown")).to_have_text("1 of the 62 events loaded. ")
    chips.get_by_role("link", name="Theft").click()
    assert events_shown(page) == 62
    expect(page).to_have_url(f"{url}/products/SN-5")


def test_the_older_events_of_a_type_are_a_link_away(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-4")
    page.locator("#kinds").get_by_role("link", name="Warranty").click()
    page.get_by_role("link", name="Look through the older ones too").click()

    expect(page).to_have_url(f"{url}/products/SN-4/events?type=warranty")
    expect(page.get_by_role("heading", level=2)).to_contain_text("Only Warranty")
    assert events_shown(page) == 60
    page.get_by_role("link", name="All types").click()
    expect(page.locator("#timeline .event")).to_have_count(62)


def test_an_event_and_its_void_lead_to_each_other(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-5")
    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#timeline .event")).to_have_count(62)
    page.locator("#kinds").get_by_role("link", name="Void").click()
    assert events_shown(page) == 1

    page.get_by_role("link", name="an event of 1 January 2026").click()
    expect(page.locator("#timeline .event[data-type=theft]")).to_be_focused()
    expect(page.locator("#timeline .event[data-type=theft]")).to_be_in_viewport()
    expect(page).to_have_url(re.compile(r"/products/SN-5#e-"))

    page.goto(f"{url}/products/SN-6")
    page.locator("#kinds").get_by_role("link", name="Theft").click()
    expect(page.locator(".voided .title")).to_have_css("text-decoration-line", "line-through")
    expect(page.locator(".voided .note")).to_have_text("Taken out: entered twice")
    page.get_by_role("link", name="Taken out").click()
    expect(page.locator("#timeline .event[data-type=void]")).to_be_focused()


def test_everything_opens_and_closes_at_once(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-5")
    opened = page.locator("#timeline details[open]")

    page.get_by_role("button", name="Open all").click()
    expect(opened).to_have_count(50)
    page.get_by_role("link", name="Older events").click()
    expect(opened).to_have_count(62)
    page.get_by_role("button", name="Close all").click()
    expect(opened).to_have_count(0)


def test_lines_that_are_loaded_stand_under_their_years(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-4")
    years = page.locator("#timeline h3")
    before = years.all_inner_texts()
    assert before == ["2026", "2025", "2024"]

    page.get_by_role("link", name="Older events").click()

    expect(page.locator("#timeline .event")).to_have_count(62)
    assert years.all_inner_texts() == before
    days = page.locator("#timeline summary time").evaluate_all("all => all.map(each => each.dateTime)")
    assert days == sorted(days, reverse=True)


def test_a_file_is_whole_however_many_parts_it_takes(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-3")
    taken = {}
    for name in ("CSV", "NDJSON", "JSON", "EPCIS 2.0"):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=name, exact=True).click()
        taken[waiting.value.suggested_filename] = Path(waiting.value.path()).read_text()
        expect(page.locator("#taking")).to_have_text(
            f"{waiting.value.suggested_filename} is saved, with every event."
        )

    assert list(taken) == ["SN-3.csv", "SN-3.ndjson", "SN-3.json", "SN-3.jsonld"]
    rows = list(csv.DictReader(io.StringIO(taken["SN-3.csv"])))
    lines = [json.loads(line) for line in taken["SN-3.ndjson"].splitlines()]
    events = json.loads(taken["SN-3.json"])
    document = json.loads(taken["SN-3.jsonld"])
    positions = [row["position"] for row in rows]
    assert len(positions) == 1081
    assert positions == sorted(set(positions), reverse=True)
    assert [line["position"] for line in lines] == positions
    assert [event["position"] for event in events["events"]] == positions
    assert (events["serial"], events["next"]) == ("SN-3", None)
    assert len(document["epcisBody"]["eventList"]) == 1081
    assert document["type"] == "EPCISDocument"
    assert json.loads(rows[0]["metadata"]) == {"price": 1.5, "text": 'a "quoted", [text]'}


@pytest.mark.parametrize("status", [None, 503])
def test_a_file_that_does_not_come_whole_is_not_saved(page: Page, url: str, status: int | None) -> None:
    page.goto(f"{url}/products/SN-3")
    page.route(
        "**/events?*cursor=*",
        lambda route: route.abort() if status is None else route.fulfill(status=status, body="{}"),
    )
    saved: list[str] = []
    page.on("download", lambda download: saved.append(download.suggested_filename))

    page.get_by_role("link", name="CSV", exact=True).click()

    expect(page.locator("#taking")).to_contain_text("nothing was saved")
    assert saved == []


def test_metadata_is_folded_and_opens(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-1")
    service = page.locator("#timeline .event", has_text="Service")
    fact = service.locator("dd", has_text="Zoë & Söhne")
    expect(fact).not_to_be_visible()

    service.locator("summary").click()

    expect(fact).to_be_visible()


def test_what_is_odd_is_called_out_and_leads_to_its_event(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 800, "height": 300})
    page.goto(f"{url}/products/SN-1")
    event = page.locator("#timeline .event", has_text="Odd:")

    page.get_by_role("region", name="1 thing looks odd").get_by_role(
        "link", name="Service while stolen"
    ).click()

    expect(event).to_be_in_viewport()
    assert page.url.endswith("#" + str(event.get_attribute("id")))


def test_a_script_in_any_field_is_text(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-1")
    page.locator("#timeline .event", has_text="Theft").locator("summary").click()

    expect(page.get_by_text("<script>document.title").first).to_be_visible()
    expect(page).to_have_title("SN-1 · Stolen")
    assert page.locator("main script, main img").count() == 0


def test_older_events_are_loaded_in_place(page: Page, url: str) -> None:
    page.goto(f"{url}/products/SN-2")
    assert events_shown(page) == 50

    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#timeline .event")).to_have_count(150)
    expect(page.locator("#said")).to_have_text("100 more events")
    expect(page.locator("#count")).to_have_text("150 newest of more")
    expect(page.locator("#timeline .event").nth(50)).to_be_focused()
    page.get_by_role("link", name="Older events").click()
    expect(page.locator("#timeline .event")).to_have_count(220)

    expect(page.get_by_role("link", name="Older events")).to_have_count(0)
    expect(page.locator("#count")).to_have_text("220")
    expect(page).to_have_url(f"{url}/products/SN-2")
    # References of what was loaded are relative to another address, which shows under a stage's prefix.
    href = page.locator("#timeline .event").last.locator("a.data").get_attribute("href")
    assert href is not None
    assert href.startswith(f"{url}/products/SN-2/events?")
    ids = page.locator("#timeline .event").evaluate_all("all => all.map(each => each.id)")
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
    page.goto(f"{url}/products/SN-4")
    page.locator("#kinds").get_by_role("link", name="Warranty").click()
    assert events_shown(page) == 60
    page.goto(f"{url}/products/SN-3")
    expect(page.locator(".downloads")).to_contain_text("the first 1,000 of more")
    for name, ending in (("CSV", "csv"), ("NDJSON", "ndjson"), ("JSON", "json"), ("EPCIS 2.0", "jsonld")):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=name, exact=True).click()
        assert waiting.value.suggested_filename == f"SN-3-part-1000-events.{ending}"
    context.close()


def test_an_unknown_product_has_a_page_where_what_was_typed_stays(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Serial number").fill("sn-1")
    page.get_by_role("button", name="Find").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is known of this product")
    expect(page.get_by_text("large and small letters are different letters")).to_be_visible()
    expect(page.get_by_label("Serial number")).to_have_value("sn-1")
    expect(page.get_by_label("Serial number")).to_be_focused()
    page.get_by_label("Serial number").fill("SN-1")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}/products/SN-1")


@pytest.mark.parametrize("path", ["/products", "/no/such/address", "/products/SN-1/nope/"])
def test_an_address_that_is_not_there_has_a_page_that_leads_on(page: Page, url: str, path: str) -> None:
    response = page.goto(url + path)

    assert response is not None
    assert response.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.get_by_label("Serial number").fill("SN-1")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}/products/SN-1")


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
    expect(page.locator("#timeline .event")).to_have_count(150)

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


def test_an_event_as_json_comes_with_the_token_too(page: Page, guarded: str) -> None:
    page.goto(f"{guarded}/products/SN-1")
    page.get_by_label("Access token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#timeline .event", has_text="Production").locator("summary").click()
    page.get_by_role("link", name="this event as JSON").click()

    page.wait_for_url(re.compile("^blob:"))
    (event,) = json.loads(page.locator("body").inner_text())["events"]
    assert event["metadata"] == {"line": "B", "n": 1.5}


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
