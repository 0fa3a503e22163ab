"""The pages over real tables: what they show, what they refuse to run, and how they hang together."""

import re
from urllib.parse import urljoin

import pytest
from chalice.test import Client, HTTPResponse

from tests.support.api_client import at, keep, notes
from tests.support.html_pages import BROWSER, REFERENCE, page, titles
from tests.support.lambda_events import wire


def test_a_browser_gets_a_page_and_curl_gets_json(client: Client) -> None:
    keep(client, wire("SN-1"))

    assert "<!doctype html>" in page(client, "/products/SN-1")
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        assert client.http.get("/products/SN-1", headers=accept).json_body["serial"] == "SN-1"


def test_a_page_tells_status_anomalies_and_every_event(client: Client) -> None:
    keep(
        client,
        wire("SN-1", "production", "2026-01-01T10:00:00+01:00", source="plant-7", metadata={"line": "B"}),
        wire("SN-1", "theft", "2026-02-01T23:30:00.1234567-05:00"),
        wire("SN-1", "dealer_registration", "2026-03-02T00:00:00Z", metadata={"dealer": "Zoë & Söhne"}),
    )

    text = page(client, "/products/SN-1")

    assert '<span class="badge good">Registered</span>' in text
    assert "1 thing looks odd" in text
    assert text.count("Dealer registration while stolen") == 2, "above, and at the event"
    assert titles(text) == ["Dealer registration", "Theft", "Production"]
    assert "plant-7" in text
    assert "Zoë &amp; Söhne" in text
    # Local time, its offset, and UTC with its own date where that differs; every digit in the title.
    assert "1 February 2026, 23:30:00.123</time> UTC-05:00" in text
    assert "2 February 2026, 04:30:00.123 UTC" in text
    assert 'datetime="2026-02-01T23:30:00.123-05:00" title="2026-02-01T23:30:00.1234567-05:00"' in text


def test_a_line_says_the_essential(client: Client) -> None:
    keep(
        client,
        wire("SN-1", "note", at(1), metadata={"author": "K.", "text": "Display  stays\ndark", "n": 1}),
        wire("SN-1", "warranty", at(2), metadata={"amount": 12, "country": "DE", "dealer": "Ruhr"}),
        wire("SN-1", "calibration", at(3), metadata={"deep": [1], "odo_km": 7, "ok": True, "no": None}),
        wire("SN-1", "inspection", at(4), metadata={}),
    )

    text = page(client, "/products/SN-1")

    assert re.findall(r'<span class="gist">([^<]*)</span>', text) == [
        "odo km 7 · ok true",
        "Ruhr · amount 12",
        "Display stays dark · K.",
    ]


def test_lines_stand_under_the_years_of_their_local_time(client: Client) -> None:
    keep(
        client,
        wire("SN-1", "note", "2025-12-31T23:59:59+00:00"),
        wire("SN-1", "note", "2027-01-01T00:30:00+02:00"),
        wire("SN-1", "note", "2026-05-01T00:00:00Z"),
    )

    assert re.findall(r"<h3>(\d+)</h3>", page(client, "/products/SN-1")) == ["2027", "2026", "2025"]


def test_oddities_are_grouped_and_folded_and_lead_to_their_events(client: Client) -> None:
    keep(
        client,
        wire("SN-1", "production", at(0)),
        wire("SN-1", "theft", at(1)),
        *[wire("SN-1", "warranty", at(2 + n)) for n in range(5)],
        *[wire("SN-1", "service", at(10 + n)) for n in range(2)],
        wire("SN-1", "inventory", at(20)),
        wire("SN-1", "recovery", at(21)),
        wire("SN-1", "note", "2199-01-01T00:00:00Z"),
    )

    text = page(client, "/products/SN-1")
    section = text[text.index('class="oddities"') : text.index('id="history"')]

    assert "10 things look odd" in section
    assert "Warranty while stolen <b>5 times</b>" in section
    assert section.index("<summary>2 more</summary>") < section.index("Service while stolen <b>2 times</b>")
    assert "<summary>2 more kinds</summary>" in section
    links = re.findall(r'href="#([^"]+)"', section)
    assert len(links) == 10
    assert set(links) <= set(re.findall(r'<li id="([^"]+)"', text))


def test_types_can_be_filtered_by_a_plain_link(client: Client) -> None:
    keep(client, *notes(3), wire("SN-1", "zz_unknown", at(50)), wire("SN-1", "production", at(51)))

    text = page(client, "/products/SN-1")
    chips = re.findall(r'href="([^"]*)" data-type="(\w+)">.*?</svg>([^<]*) <span class="count">(\d+)<', text)

    assert [chip[1:] for chip in chips] == [
        ("production", "Production", "1"),
        ("note", "Note", "3"),
        ("zz_unknown", "Zz unknown", "1"),
    ]
    notes_only = page(client, urljoin("/products/SN-1", chips[1][0]))
    assert titles(notes_only) == ["Note"] * 3
    assert "Only Note" in notes_only


def test_hostile_text_is_shown_and_not_run(client: Client) -> None:
    script = "<script>alert(1)</script>"
    keep(
        client,
        wire(
            "SN-1",
            source=f'"><img src=x onerror=alert(1)>{script}',
            event_id=f"'{script}",
            metadata={script: script, "deep": {"a": [script]}, "": "javascript:alert(1)"},
        ),
    )

    text = client.http.get("/products/SN-1", headers=BROWSER).body.decode()

    assert "<script>alert" not in text
    assert "<img" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    assert "onerror" in text, "shown as text"


@pytest.mark.parametrize(
    "character", ["\0", "\x1b", "\x85", "\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"]
)
def test_characters_that_rule_over_others_are_shown_by_their_number(client: Client, character: str) -> None:
    """A page that hides a character, or reads in another order than the record, misleads who looks at it."""
    text = f"a{character}b <i>"
    keep(
        client,
        wire("SN-1", source=text, event_id=text, metadata={text: text, "deep": [text]}),
    )

    shown = page(client, "/products/SN-1") + page(client, "/products/SN-1/events")

    assert character not in shown
    assert shown.count(f"a[U+{ord(character):04X}]b &lt;i&gt;") >= 10
    answer = client.http.get("/products/SN-1").json_body
    assert answer["history"][0]["source"] == text, "programs get what was recorded"


def test_lines_tabs_and_joined_letters_are_shown_as_they_are(client: Client) -> None:
    text = "one\n\ttwo नि\u200dष \u05d0\u05d1"
    keep(client, wire("SN-1", metadata={"remark": text}))

    assert text in page(client, "/products/SN-1")


def test_numbers_on_a_page_are_as_they_were_written(client: Client) -> None:
    keep(
        client,
        b'{"serial":"SN-1","type":"note","occurred_at":"2026-01-01T00:00:00Z","metadata":'
        b'{"price":1.10,"huge":1234567890123456789012345678901234567890,"minus":-0,"e":1e2,"deep":{"x":[2.50]}}}',
    )

    text = page(client, "/products/SN-1")

    for number in ("1.10", "1234567890123456789012345678901234567890", "-0", "1e2", "2.50"):
        assert re.search(rf"[>\s]{re.escape(number)}[<\s]", text), number


def test_an_event_that_was_taken_out_says_so_and_why(client: Client) -> None:
    keep(client, wire("SN-1", "production", at(1)), wire("SN-1", "theft", at(2)))
    theft, _ = client.http.get("/products/SN-1").json_body["history"]
    why = "wrong <product> " + "x" * 300
    keep(client, wire("SN-1", "void", at(3), metadata={"position": theft["position"], "why": why}))

    text = page(client, "/products/SN-1")
    void, taken = re.findall(r'<li id="([^"]+)"', text)[:2]

    assert f'<li id="{taken}" class="event voided" data-type="theft"' in text
    said = re.search(rf'<a href="#{void}">Taken out</a>: ([^<]*)</p>', text)
    assert said is not None
    assert said[1].startswith("wrong &lt;product&gt; xxx")
    assert len(said[1]) < 220
    assert f'Takes out <a href="#{taken}">Theft, 1 January 2026</a>' in text
    assert '<span class="badge calm">Produced</span>' in text


def test_an_event_and_its_void_on_another_page_are_a_link_apart(client: Client) -> None:
    keep(client, wire("SN:1", "production", at(1)), wire("SN:1", "theft", at(2)))
    theft, _ = client.http.get("/products/SN%3A1").json_body["history"]
    keep(client, wire("SN:1", "void", at(3), metadata={"position": theft["position"]}))

    def followed(path: str, words: str) -> str:
        """The page that the link with these words leads to; its fragment is an event of that page."""
        (href,) = re.findall(rf'<a href="([^"]+)">{words}</a>', page(client, path))
        there = urljoin(path, href.replace("&amp;", "&"))
        assert there.partition("#")[2] in re.findall(r'<li id="([^"]+)"', page(client, there))
        return there

    to_void = followed("/products/SN%3A1/events?type=theft", "Taken out")
    assert titles(page(client, to_void)) == ["Void"]
    back = followed(to_void, "an event of 1 January 2026")
    assert titles(page(client, back)) == ["Theft"]


@pytest.mark.parametrize("microsecond", ["000000", "500000", "999998"])
def test_what_a_void_names_and_the_history_does_not_hold_is_no_other_event(
    client: Client, microsecond: str
) -> None:
    position = f"2026-01-01T00:00:02.{microsecond}Z#{'f' * 32}"
    keep(client, wire("SN-1", "void", at(5), metadata={"position": position}), wire("SN-1", "note", at(3)))

    (href,) = re.findall(r'Names <a href="([^"]+)">', page(client, "/products/SN-1"))

    assert titles(page(client, urljoin("/products/SN-1", href.replace("&amp;", "&")))) == []


def test_older_events_are_a_plain_link_away(client: Client) -> None:
    keep(client, *notes(120, "SN:1"))
    seen: list[str] = []
    here: str | None = "/products/SN%3A1"
    pages = 0
    while here is not None:
        text = page(client, here)
        seen += re.findall(r'<li id="([^"]+)"', text)
        link = re.search(r'id="more" rel="next" href="([^"]+)"', text)
        here = urljoin(here, link.group(1).replace("&amp;", "&")) if link else None
        pages += 1

    assert len(seen) == len(set(seen)) == 120
    assert pages == 2


def test_every_reference_of_a_page_leads_somewhere_under_any_prefix(client: Client) -> None:
    keep(client, *notes(60, "SN:1"))

    for path in (
        "/",
        "/products/SN%3A1",
        "/products/SN%3A1/",
        "/products/SN%3A1/events?limit=5",
        "/products/SN%3A1/events/?limit=5",
        "/products/NOPE",
        "/products/NOPE/",
    ):
        text = client.http.get(path, headers=BROWSER).body.decode()
        references = [found.replace("&amp;", "&") for found in REFERENCE.findall(text)]
        assert references
        for reference in references:
            resolved = urljoin(f"https://example.org/prod{path}", reference)
            assert resolved.startswith("https://example.org/prod/"), (path, reference)
            answer = client.http.get(resolved.removeprefix("https://example.org/prod"), headers=BROWSER)
            assert answer.status_code == (404 if "NOPE" in resolved else 200), reference


def test_the_root_without_its_slash_still_finds_what_it_needs(client: Client) -> None:
    """API Gateway answers at https://…/prod too, where references begin beside `prod`."""
    from chalice.app import Request

    from chalicelib.api import routes

    event = {
        "multiValueQueryStringParameters": None,
        "headers": {},
        "pathParameters": None,
        "requestContext": {"httpMethod": "GET", "resourcePath": "/", "path": "/prod"},
        "body": None,
        "stageVariables": None,
    }

    text = routes.home(Request(event)).body

    for reference in REFERENCE.findall(text):
        if not reference.startswith("#"):
            assert urljoin("https://example.org/prod", reference).startswith("https://example.org/prod/")


def test_assets_can_be_kept_forever_because_their_names_change_with_them(client: Client) -> None:
    text = page(client, "/")
    assets = [found for found in REFERENCE.findall(text) if found.startswith("assets/")]

    types = set()
    for asset in assets:
        response = client.http.get(f"/{asset}")
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        types.add(response.headers["Content-Type"])
    assert types == {"text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/svg+xml"}
    assert client.http.get("/assets/page.css").status_code == 404
    assert client.http.get("/assets/..%2Fpages.py").status_code == 404


def test_searching_leads_to_the_product(client: Client) -> None:
    def sought(serial: str) -> HTTPResponse:
        return client.http.get(f"/?serial={serial}", headers=BROWSER)

    response = sought("%20SN%3A1%20")
    assert response.status_code == 303
    assert urljoin("https://example.org/prod/?serial=x", response.headers["Location"]) == (
        "https://example.org/prod/products/SN%3A1"
    )
    assert sought("").status_code == 200
    assert sought("%2F%2Fevil.example").status_code == 400
    assert sought("%25").status_code == 400
