"""EPCIS out and in: valid by the official schema, and the same event again."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain import events, instants, lifecycle
from chalicelib.epcis import capture, documents, export, identifiers, vocabulary
from chalicelib.epcis import schema as shapes
from chalicelib.tables.history import StoredEvent
from cli.paths import ROOT
from tests.support import gs1_items, whole_history
from tests.support.stored_events import stored

OFFICIAL = ROOT.parent / "shared" / "data" / "epcis"
RECORDED = "2026-11-20T20:12:47.123Z"
NOW = "2027-01-01T00:00:00.000000Z"
needs_the_schema = pytest.mark.skipif(
    not OFFICIAL.exists(), reason="the official EPCIS schema and examples are not beside this checkout"
)


@pytest.fixture(scope="module")
def official() -> jsonschema_rs.Draft7Validator:
    schema = json.loads((OFFICIAL / "EPCIS-JSON-Schema.json").read_text())
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True)


def out(*each: StoredEvent) -> str:
    voided = whole_history.reading(each, NOW).voided
    return export.document(each, [RECORDED] * len(each), voided)


def back(document: str) -> list[StoredEvent]:
    found = documents.decode(document.encode())
    captured = [
        each for event in found.events for each in capture.capture(event, found.contexts, found.sender)
    ]
    assert not [each.reason for each in captured if each.reason is not None]
    return [stored(each.wire) for each in captured if each.wire is not None]


def examples() -> list[Path]:
    return sorted((OFFICIAL / "examples").glob("*.jsonld")) if OFFICIAL.exists() else []


texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
uris = st.sampled_from(
    [
        *("urn:epc:id:sgtin:0614141.107346.2017", "https://b.example/01/10614141073464/10/L/21/2017?s=1"),
        *("https://id.gs1.org/01/70614141123451/21/2017", "urn:x-a:b%20c"),
    ]
)
words = st.sampled_from([*vocabulary.BIZ_STEPS, *vocabulary.DISPOSITIONS, "http://a.example/step", "x", ""])
declarations = st.fixed_dictionaries(
    {"declarationTime": st.just("2026-05-01T00:00:00Z") | texts},
    optional={"reason": words | texts, "correctiveEventIDs": st.lists(uris | texts), "a:b": values},
)
declared = st.fixed_dictionaries(
    {"type": st.sampled_from(["theft", "void", "?"]), "occurred_at": st.just("2026-05-02T00:00:00+02:00")},
    optional={"event_id": uris | texts, "metadata": st.dictionaries(texts, values), "x": texts},
)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([*shapes.FIELDS, "Event"]),
        "action": st.sampled_from(["ADD", "OBSERVE", "DELETE", "add"]),
        "bizStep": words | values,
        "disposition": words | values,
        "readPoint": st.fixed_dictionaries({"id": uris | texts}) | values,
        "bizTransactionList": st.lists(
            st.fixed_dictionaries({"bizTransaction": uris}, optional={"type": words, "x": uris}), max_size=2
        ),
        "sourceList": st.lists(st.fixed_dictionaries({"type": words, "source": uris}), max_size=2),
        "sensorElementList": st.lists(
            st.fixed_dictionaries(
                {
                    "sensorReport": st.lists(
                        st.fixed_dictionaries({"type": st.sampled_from(["Mass", "mass"])})
                    )
                },
                optional={"sensorMetadata": st.fixed_dictionaries({}, optional={"time": texts | uris})},
            ),
            max_size=1,
        ),
        "persistentDisposition": st.fixed_dictionaries({}, optional={"set": st.lists(words, max_size=2)}),
        "ilmd": st.dictionaries(st.sampled_from(["a:b", "c"]), values, max_size=2),
        "parentID": uris | texts,
        "childEPCs": st.lists(uris, max_size=2),
        "childQuantityList": st.lists(
            st.fixed_dictionaries({"epcClass": uris, "quantity": values}), max_size=1
        ),
        "inputEPCList": st.lists(uris, max_size=2),
        "outputEPCList": st.lists(uris, max_size=2),
        "transformationID": uris,
        "epcList": st.lists(uris, max_size=2),
        "quantityList": st.lists(st.fixed_dictionaries({"epcClass": uris}), max_size=1),
        "eventID": uris,
        "errorDeclaration": values | declarations,
        "declared": values | declared,
        "@context": st.lists(st.dictionaries(texts, texts, max_size=2) | uris | values, max_size=3) | values,
        "example:field": values,
        "lifecycle:type": texts,
        "recordTime": texts,
    },
)
metadata = st.dictionaries(texts, values, max_size=3) | st.fixed_dictionaries(
    {"epcis": near_misses | values}, optional={"more": values}
)
wires = st.fixed_dictionaries(
    {
        "serial": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,30}", fullmatch=True)
        | uris.map(identifiers.serial_of)
        | uris.map(identifiers.earlier_serial),
        "type": st.sampled_from(
            [*lifecycle.KINDS, *vocabulary.BIZ_STEPS, "transformation", "object_event", "z"]
        ),
        "occurred_at": st.sampled_from(
            [
                "2026-01-01T00:00:00Z",
                "2026-06-30T23:59:60Z",
                "2026-01-01T00:00:00.123456789-14:00",
                "2026-01-01T00:00:00.5+23:59",
                "1999-12-31T18:30:00.10-05:30",
            ]
        ),
        "metadata": metadata,
    },
    optional={"event_id": texts.filter(bool) | uris, "source": texts.filter(bool)},
)


@given(wires)
def test_an_event_that_went_out_comes_in_as_itself(wire: dict[str, Any]) -> None:
    event = stored(wire)

    assert back(out(event)) == [event]


@needs_the_schema
@given(st.lists(wires, max_size=3))
@example(
    [
        {
            "serial": "A",
            "type": "note",
            "occurred_at": "2026-01-01T00:00:00Z",
            "metadata": {"epcis": {"action": "OBSERVE", "ilmd": {"a:b": 1}}},
        }
    ]
)
def test_whatever_goes_out_is_valid(
    official: jsonschema_rs.Draft7Validator, each: list[dict[str, Any]]
) -> None:
    official.validate(json.loads(out(*map(stored, each))))


@given(st.lists(wires, max_size=4), st.data())
def test_a_page_with_voids_comes_in_as_itself(each: list[dict[str, Any]], data: st.DataObject) -> None:
    page = [stored({**wire, "serial": "SN-1"}) for wire in each]
    for event in list(page):
        named = {"position": event.position}
        if event.event_id is not None and data.draw(st.booleans()):
            named = {"event_id": event.event_id}
        wire: dict[str, Any] = data.draw(wires)
        metadata = {**wire["metadata"], **named, "why": data.draw(words)}
        page.append(stored({**wire, "serial": "SN-1", "type": "void", "metadata": metadata}))
    page = list({event.position: event for event in page}.values())

    document = out(*page)

    assert back(document) == page
    if OFFICIAL.exists():
        schema = json.loads((OFFICIAL / "EPCIS-JSON-Schema.json").read_text())
        jsonschema_rs.Draft7Validator(schema, validate_formats=True).validate(json.loads(document))


TYPES = {
    "epcList": "ObjectEvent",
    "parentID": "AggregationEvent",
    "childEPCs": "AggregationEvent",
    "inputEPCList": "TransformationEvent",
}


@given(gs1_items.items().flatmap(gs1_items.spellings), st.sampled_from(sorted(TYPES)))
def test_an_epc_goes_out_as_it_was_written(epc: str, field: str) -> None:
    event = {
        "type": TYPES[field],
        "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "bizStep": "storing",
        field: epc if field == "parentID" else [epc],
        **({"transformationID": "urn:x:1"} if field == "inputEPCList" else {"action": "DELETE"}),
    }

    (captured,) = capture.capture(event, [], None)
    assert captured.wire is not None
    kept = stored(captured.wire)
    document = out(kept)
    (again,) = json.loads(document)["epcisBody"]["eventList"]

    assert kept.serial == identifiers.serial_of(epc)
    assert back(document) == [kept]
    if identifiers.is_uri(epc):  # an element string is none, and a partner's reader would refuse it
        assert again[field] == event[field]
        assert "lifecycle:type" not in again, "it follows from the step, as it did"
    else:
        assert again["lifecycle:metadata"]["epcis"][field] == event[field]
        assert again["epcList"] == [identifiers.epc_of(kept.serial)]


@needs_the_schema
def test_what_was_stored_under_a_urn_goes_out_as_that_urn(official: jsonschema_rs.Draft7Validator) -> None:
    urn = "urn:epc:id:sgtin:0614141.107346.2017"
    event = stored({"serial": urn, "type": "note", "occurred_at": "2026-01-01T00:00:00Z"})

    document = out(event)

    official.validate(json.loads(document))
    (again,) = json.loads(document)["epcisBody"]["eventList"]
    assert again["epcList"] == [urn]
    assert again["lifecycle:serial"] == urn
    assert back(document) == [event]


def test_numbers_travel_as_they_are_written() -> None:
    event = events.decode(
        b'{"serial":"A","type":"note","occurred_at":"2026-01-01T00:00:00Z","metadata":'
        b'{"n":1.10,"epcis":{"action":"OBSERVE","x:y":1e2,"ilmd":-0}}}'
    )
    kept = StoredEvent(**msgspec.structs.asdict(event), recorded_at_ms=0)

    document = out(kept)

    assert '"n":1.10' in document
    assert '"x:y":1e2' in document
    assert back(document)[0].metadata == event.metadata


def test_the_same_events_make_the_same_document() -> None:
    event = stored({"serial": "A", "type": "note", "occurred_at": "2026-01-01T00:00:00Z"})

    assert json.loads(out(event))["creationDate"] == RECORDED
    assert out(event) == out(event)


@needs_the_schema
@pytest.mark.parametrize("path", examples(), ids=lambda path: path.stem)
def test_the_official_examples_load_and_come_back_out_valid(
    path: Path, official: jsonschema_rs.Draft7Validator
) -> None:
    found = documents.decode(path.read_bytes())
    instances = 0
    originals = json.loads(path.read_text())["epcisBody"]["eventList"]
    for given_event, original in zip(found.events, originals, strict=True):
        captured = list(capture.capture(given_event, found.contexts, found.sender))
        quantities = [each.reason for each in captured if each.reason is not None]
        assert len(quantities) == sum(len(given_event.get(field, [])) for field in shapes.QUANTITY_FIELDS)
        assert all("class-level quantity" in str(reason) for reason in quantities)
        wires = [each.wire for each in captured if each.wire is not None]
        epcs = {
            epc for field in shapes.EPC_FIELDS[given_event["type"]] for epc in _listed(given_event, field)
        }
        assert {wire["serial"] for wire in wires} == set(map(identifiers.serial_of, epcs))
        kept = [stored(wire) for wire in wires]
        instances += len(kept)
        again = out(*kept)
        official.validate(json.loads(again))
        assert back(again) == kept
        for event in json.loads(again)["epcisBody"]["eventList"]:
            is_valid = official.is_valid(json.loads(path.read_text()) | {"id": "urn:x:1"})
            _assert_says_the_same(original, event, is_valid)
            assert set(event.get("epcList", ())) <= epcs, "EPCs go out as they were written"
    assert instances or "9.6.2" in path.name, "only the quantity examples name no instance"


def _listed(event: dict[str, Any], field: str) -> list[str]:
    value = event.get(field, [])
    return value if isinstance(value, list) else [value]


def _assert_says_the_same(original: dict[str, Any], event: dict[str, Any], is_valid: bool) -> None:
    """Every field of the official event is a field of ours again, save what is about other things.

    Some official examples are not valid by the official schema; what is wrong in them is kept beside.
    """
    elsewhere = {"eventTime", "eventTimeZoneOffset", "recordTime", "epcList", "quantityList"}
    elsewhere |= {"childEPCs", "childQuantityList"}
    beside = event.get("lifecycle:metadata", {}).get("epcis", {})
    assert not (is_valid and beside)
    for name, value in original.items():
        if name not in elsewhere:
            said = {**beside, **event}
            assert said["eventID" if name == "id" else name] == value, name
    assert instants.parse(event["eventTime"]).utc == instants.parse(original["eventTime"]).utc
    assert event["eventTimeZoneOffset"] == original["eventTimeZoneOffset"]


@given(values | st.fixed_dictionaries({"type": st.just("EPCISDocument"), "epcisBody": values}) | near_misses)
def test_no_document_is_beyond_an_answer(document: Any) -> None:
    try:
        found = documents.decode(json.dumps(document).encode())
    except ValueError:
        return
    for event in found.events:
        for each in capture.capture(event, found.contexts, found.sender):
            assert (each.wire is None) != (each.reason is None)
