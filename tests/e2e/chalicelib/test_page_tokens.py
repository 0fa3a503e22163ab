"""The page of a stage that asks for a token, in a real browser: sent, kept in one tab, forgotten."""

import json
import re
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browsing import TOKEN


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
