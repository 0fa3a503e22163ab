"""Whatever is stored, every form answers: no 500, no more than Lambda sends, and every event on some page."""

import itertools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from chalice.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from app import app
from chalicelib import wiring
from chalicelib.api import negotiation
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.tables import items
from tests.support import names
from tests.support.api_client import at
from tests.support.lambda_events import batch, wire

#: Below Lambda's limit, with headers and status.
MAX_BYTES = 6_000_000

_serials = (f"SN-HOSTILE-{number}" for number in itertools.count())

FORMS = [
    *((f"/products/{{}}?format={form}", form) for form in negotiation.PRODUCT_FORMATS),
    *((f"/products/{{}}/events?limit=1000&format={form}", form) for form in negotiation.EVENTS_FORMATS),
    ("/products/{}/events?limit=1000&anomalies=yes", "json"),
    ("/products/{}/events?order=asc&type=production", "json"),
]


@pytest.fixture
def api(module_stage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name, value in names.open_to_everybody().items():
        monkeypatch.setenv(name, value)
    wiring.reset()
    with Client(app, stage_name="test") as running:
        yield running


def stored(*sent: bytes) -> None:
    """Put events straight into the table, as an earlier version of the code may have done."""
    made = [items.to_item(events.decode(data), 1_790_000_000_000 + n) for n, data in enumerate(sent)]
    for start in range(0, len(made), 25):
        assert not wiring.history().write(made[start : start + 25], Deadline(600)).unfinished


def serialised(response: Any) -> int:
    """The bytes of Lambda's response: what the runtime client makes of Chalice's answer."""
    body = {
        "statusCode": response.status_code,
        "headers": dict(response.headers),
        "body": response.body.decode(),
    }
    return len(json.dumps(body))


def pages(api: Client, path: str) -> Iterator[Any]:
    """An address and everything behind its `Link`s."""
    while True:
        response = api.http.get(path)
        assert response.status_code == 200, (path, response.body[:500])
        assert serialised(response) < MAX_BYTES, path
        yield response
        link = response.headers.get("Link")
        if link is None:
            return
        path = urljoin(path, link[1 : link.index(">")])


def count_of_events(api: Client, path: str) -> int:
    return sum(
        len(json.loads(page.body).get("history", json.loads(page.body).get("events")))
        for page in pages(api, path)
    )


ARRAYS = "[" * 500 + "]" * 500
LARGE: dict[str, tuple[str, int]] = {
    "nested arrays": ('{"a":[' + ",".join([ARRAYS] * 390) + "]}", 2),
    "quotes": ('{"a":"' + '\\"' * 195_000 + '"}', 3),
    "empty texts": ('{"a":[' + ",".join(['""'] * 130_000) + "]}", 3),
    "emoji": ('{"a":"' + "😀" * 97_000 + '"}', 3),
    "controls": ('{"a":"' + "\\u0001" * 65_000 + '"}', 3),
    "telemetry": ('{"t":[' + ",".join(f'{{"v":{n}.25,"u":"°C"}}' for n in range(900)) + "]}", 50),
    "EPCIS context": (
        '{"epcis":{"type":"ObjectEvent","@context":['
        + ",".join('{"x":"urn:x:"}' for _ in range(20_000))
        + "]}}",
        2,
    ),
    "EPCIS contexts": (
        '{"epcis":{"a:b":1,"@context":[' + ",".join(f'{{"x{n}":"urn:x:{n}"}}' for n in range(15_000)) + "]}}",
        3,
    ),
    "EPCIS children": (
        '{"epcis":{"type":"AggregationEvent","action":"OBSERVE","childEPCs":['
        + ",".join(f'"https://id.gs1.org/01/70614141123451/21/{n}"' for n in range(1_300))
        + "]}}",
        16,
    ),
    "EPCIS nested": ('{"epcis":{"type":"ObjectEvent","@context":' + "[" * 480 + "]" * 480 + "}}", 3),
    "EPCIS parent": (
        '{"epcis":{"type":"AggregationEvent","parentID":"https://a/01/' + "1" * 200_000 + '/21/x"}}',
        2,
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_events_are_answered_in_every_form(api: Client, name: str) -> None:
    (metadata, count), serial = LARGE[name], next(_serials)
    base = wire(serial, "production", at(0), metadata={}).decode()
    stored(*(base.replace("{}", str(metadata)).replace(at(0), at(n)).encode() for n in range(count)))

    for path, _ in FORMS:
        assert all(pages(api, path.format(serial)))
    assert count_of_events(api, f"/products/{serial}/events?limit=1000&format=json") == count
    assert count_of_events(api, f"/products/{serial}?format=json") == count


def test_a_thousand_voided_events_are_answered_in_every_form(api: Client) -> None:
    serial = next(_serials)
    why = "😀" * 200
    sent = [wire(serial, "note", at(n), event_id="é" * 128, source="😀" * 128) for n in range(1100)]
    void = wire(serial, "void", at(2000), metadata={"event_id": "é" * 128, "why": why})
    assert api.lambda_.invoke("process_lifecycle", batch([*sent, void])).payload is not None

    for path, _ in FORMS[:-1]:
        assert all(pages(api, path.format(serial)))
    shown = [
        event
        for page in pages(api, f"/products/{serial}/events?limit=1000&format=json")
        for event in json.loads(page.body)["events"]
    ]
    assert len(shown) == 1101
    assert all(event["voided_why"] == why for event in shown if event["type"] == "note")


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
#: What the code itself looks for in metadata, with anything in it.
KNOWN = (
    *("epcis", "@context", "type", "position", "event_id", "why", "reason", "dealer", "note", "country"),
    *("epcList", "parentID", "childEPCs", "sensorElementList", "errorDeclaration", "eventID", "bizStep"),
    *("declared", "declarationTime", "occurred_at", "correctiveEventIDs"),
)
keys = st.sampled_from(KNOWN)
hostile = st.dictionaries(keys | text, values | st.dictionaries(keys | text, values, max_size=5), max_size=5)
types = st.sampled_from(["production", "theft", "void", "note", "zz_unknown"])


def test_no_stored_metadata_breaks_an_answer(api: Client) -> None:
    @settings(max_examples=60)
    @given(st.lists(st.tuples(types, hostile), min_size=1, max_size=4))
    def every_form_answers(made: list[tuple[str, Any]]) -> None:
        serial = next(_serials)
        stored(*(wire(serial, type_, at(n), metadata=metadata) for n, (type_, metadata) in enumerate(made)))

        for path, _ in FORMS[:-1]:
            assert all(pages(api, path.format(serial)))

    every_form_answers()


@pytest.mark.parametrize("path", [path for path, form in FORMS[:-1] if form != "html"])
def test_a_page_that_would_be_too_large_ends_early(
    api: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial, most = next(_serials), 20_000
    marks = [f"mark-{n:03}" for n in range(40)]
    stored(*(wire(serial, "note", at(n), metadata={"a": mark + '"' * 700}) for n, mark in enumerate(marks)))
    monkeypatch.setattr("chalicelib.api.size.MAX_BODY_BYTES", most)

    answers = list(pages(api, path.format(serial)))

    assert all(serialised(answer) < most + 2_000 for answer in answers)
    assert len(answers) > 3
    text = "".join(answer.body.decode() for answer in answers)
    assert [text.count(mark) for mark in marks] == [1] * len(marks)
