"""The pages in a real browser: headless Chromium over the real API, on the embedded endpoint's tables.

The browser is the system's (Debian: `chromium`), driven by Playwright.  Where there is none these tests
skip, and in CI they fail.
"""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect


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
