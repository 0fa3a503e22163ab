"""Refusals as pages, in words for people; and how large a page may get."""

import json
import os
import re
from collections.abc import Callable
from urllib.parse import urljoin

import chalice.local
import pytest
from chalice.test import Client

from chalicelib import wiring
from chalicelib.api import pages, timeline
from chalicelib.deadline import Deadline
from chalicelib.domain.events import Event
from chalicelib.tables.items import to_item
from cli.paths import ROOT
from local import greedy_paths
from tests.support.api_client import at, keep, notes
from tests.support.html_pages import BROWSER, REFERENCE, page, titles
from tests.support.lambda_events import wire

#: Lambda takes 6,291,556 bytes.
MAX_RESPONSE = 6_000_000


#: What no person has to know who looks for a product.
JARGON = ("Authorization", "Bearer", "HTTP", "Accept", "A-Z a-z 0-9", "schema", "token>")


@pytest.mark.parametrize(
    ("path", "status", "words", "typed"),
    [
        ("/products/sn-nope", 404, "large and small letters are different letters", "sn-nope"),
        ("/products/sn%3Anope/events", 404, "No event has been recorded", "sn:nope"),
        ("/products/-1", 400, "A serial number is made of the letters A to Z", "-1"),
        ("/?serial=SN%20%22%C3%9C%3E", 400, "A serial number is made of", "SN &#34;Ü&gt;"),
        (f"/?serial={'%F0%9F%98%80' * 2100}", 400, "A serial number is made of", "😀" * 2048),
        (
            "/?serial=%2801%2910614141073463%2821%29S",
            400,
            "check digit is 3, expected 4",
            "(01)10614141073463(21)S",
        ),
        ("/products/urn%3Aepc%3Aclass%3Ax", 400, "That does not name one product", "urn:epc:class:x"),
        ("/products/SN-1/events?colour=red", 400, "no such parameter", None),
        ("/assets/nope", 404, "There is no such page", ""),
        ("/products", 404, "There is no such page", ""),
        ("/no-such-address", 404, "There is no such page", ""),
    ],
)
def test_refusals_are_words_for_people_and_json_for_programs(
    client: Client, path: str, status: int, words: str, typed: str | None
) -> None:
    text = page(client, path, status)
    assert words in text
    assert f'<p class="eyebrow">{status}</p>' in text
    assert re.findall(r' value="([^"]*)"', text) == ([] if typed is None else [typed])
    assert not [jargon for jargon in JARGON if jargon in text]

    assert set(client.http.get(path).json_body) == {"Code", "Message"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Paste yours below"),
        (403, "Paste it again, whole"),
        (406, "not in the form asked for"),
        (410, "has been erased on request"),
        (418, "That cannot be answered"),
        (500, "Something went wrong here"),
        (503, "what was recorded is still there"),
    ],
)
def test_every_refusal_has_words_without_jargon(status: int, words: str) -> None:
    text = pages.refusal(status, "this token is not valid here", "../")

    assert words in text
    assert not [jargon for jargon in JARGON if jargon in text]


def test_every_address_that_is_not_there_is_one_of_ours(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As API Gateway routes it; Chalice's own test client knows no greedy path."""
    monkeypatch.setattr(chalice.local, "RouteMatcher", greedy_paths.GreedyRouteMatcher)
    from app import app

    with Client(app, stage_name="test") as gateway:
        for path in ("/no", "/no/", "/no/such/address", "/products/SN-1/nope", "/products/SN-1/nope/?x=1"):
            text = page(gateway, path, 404)
            for reference in REFERENCE.findall(text):
                resolved = urljoin(f"https://example.org/prod{path}", reference)
                there = resolved.removeprefix("https://example.org/prod").partition("#")[0]
                if not reference.startswith("#"):
                    assert gateway.http.get(there, headers=BROWSER).status_code == 200, (path, reference)
            answer = gateway.http.get(path)
            assert (answer.status_code, set(answer.json_body)) == (404, {"Code", "Message"})
            assert gateway.http.request("HEAD", path).status_code == 404


def test_a_table_that_does_not_answer_is_a_page_too(client: Client) -> None:
    os.environ["LIFECYCLE_HISTORY_TABLE"] = "no-such-table"
    wiring.reset()

    assert "The history does not answer just now" in page(client, "/products/SN-1", 503)


METADATA_BYTES = 380_000


#: Metadata of about METADATA_BYTES, and of the 20 KB of which a page holds fifty.
HOSTILE = {
    "nested": lambda size: '{"a":[' + ",".join(["[" * 500 + "]" * 500] * (size // 1001)) + "]}",
    "astral": lambda size: '{"a":"' + "\U0001f600" * (size // 4) + '"}',
    "quotes": lambda size: '{"a":"' + '\\"' * (size // 2) + '"}',
    "telemetry": lambda size: '{"a":[' + ",".join(['{"t":"<é>","v":1.50}'] * (size // 21)) + "]}",
    "members": lambda size: "{" + ",".join(f'"é{number:06d}":"<"' for number in range(size // 15)) + "}",
}


@pytest.mark.parametrize("metadata", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_stored_a_page_fits_into_what_lambda_can_answer(
    client: Client, metadata: Callable[[int], str]
) -> None:
    """Stored straight into the table: no rule of ingest has looked at it."""
    for number in range(120):
        size = METADATA_BYTES if number >= 118 else 20_000
        store_hostile(number, metadata(size))

    for query in ("", "/events?limit=1000", "/events?limit=1000&order=asc"):
        response = client.http.get(f"/products/SN-1{query}", headers=BROWSER)
        assert response.status_code == 200
        text = response.body.decode()
        answer = {"statusCode": 200, "headers": dict(response.headers), "body": text}
        assert len(json.dumps(answer)) < MAX_RESPONSE
        assert "cut here" in text or "not shown here" in text
        assert 1 <= text.count('class="title"') <= timeline.MAX_EVENTS
    seen = 0
    here: str | None = "/products/SN-1/events?limit=1000"
    while here is not None:
        text = page(client, here)
        seen += text.count('class="title"')
        link = re.search(r'id="more" rel="next" href="([^"]+)"', text)
        here = urljoin(here, link.group(1).replace("&amp;", "&")) if link else None
    assert seen == 120, "what does not fit on a page is on the next one"


def test_a_page_has_a_hundred_lines_at_most(client: Client) -> None:
    keep(client, *notes(130))

    text = page(client, "/products/SN-1/events?limit=1000")

    assert len(titles(text)) == 100
    (following,) = re.findall(r'id="more" rel="next" href="([^"]+)"', text)
    assert len(titles(page(client, urljoin("/products/SN-1/events", following.replace("&amp;", "&"))))) == 30


def test_what_is_cut_is_a_link_away(client: Client) -> None:
    long = {"lines": "a\n" * 200, "log": "x" * 5000}
    keep(client, wire("SN:1", metadata=long), wire("SN:1", "note", at(9)))

    text = page(client, "/products/SN%3A1")
    assert text.count("… cut here") == 2
    (_, address) = re.findall(r'class="data" href="([^"]+)"', text)
    there = client.http.get(urljoin("/products/SN%3A1", address.replace("&amp;", "&")))

    assert [event["metadata"] for event in there.json_body["events"]] == [long]


def store_hostile(number: int, metadata: str) -> None:
    event = Event(
        serial="SN-1",
        type="theft",
        occurred_at=f"2026-01-01T00:00:00.{'1' * 2000}+05:30",
        event_id="\U0001f600" * 128,
        source="\U0001f600" * 128,
        metadata=metadata,
        position=f"2025-12-31T18:30:00.111111Z#{number:032x}",
    )
    written = wiring.history().write([to_item(event, 1790000000123)], Deadline(30))
    assert not written.refused
    assert not written.unfinished


def test_pages_need_nothing_from_elsewhere() -> None:
    shipped = ROOT / "chalicelib" / "api"
    for path in [*(shipped / "templates").iterdir(), *(shipped / "assets").iterdir()]:
        elsewhere = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", path.read_text())
        assert set(elsewhere) <= {"http://www.w3.org"}, path  # SVG's namespace is a name, not a request
