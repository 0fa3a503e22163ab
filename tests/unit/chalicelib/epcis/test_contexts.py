"""Contexts of extensions: kept with the event that uses them, and out again, in whatever form they came."""

import json
import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.epcis import capture, contexts, documents, export
from chalicelib.tables.history import StoredEvent
from cli.paths import ROOT
from tests.support.stored_events import stored

SCHEMA = ROOT.parent / "shared" / "data" / "epcis" / "EPCIS-JSON-Schema.json"
TEXTILE = "https://ref.openepcis.io/extensions/eu/textile/textile-context.jsonld"
CORE = "https://ref.openepcis.io/extensions/common/core/dpp-core-context.jsonld"
ACME = {"acme": "https://acme.example/epcis/"}
FORMS: list[Any] = [TEXTILE, ACME, [TEXTILE, CORE], [TEXTILE, ACME], [ACME, {"b": "urn:b:"}]]


def an_event(day: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventTime": f"2026-01-{day:02}T10:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "inspecting",
        "epcList": ["https://id.gs1.org/01/09521234000013/21/WJ-1"],
        **more,
    }


def document_of(*events: dict[str, Any], context: Any = None) -> dict[str, Any]:
    return {"@context": context, "type": "EPCISDocument", "epcisBody": {"eventList": events}}


def came_in(document: dict[str, Any]) -> list[StoredEvent]:
    found = documents.decode(json.dumps(document).encode())
    made = [each for event in found.events for each in capture.capture(event, found.contexts, found.sender)]
    return [stored(each.wire) for each in made if each.wire is not None]


def went_out(*history: StoredEvent) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(export.document(history, ["2026-11-20T20:12:47Z"] * len(history)))
    assert came_in(document) == list(history), "what goes out comes in again"
    if SCHEMA.exists():
        jsonschema_rs.Draft7Validator(json.loads(SCHEMA.read_text()), validate_formats=True).validate(
            document
        )
    return document


def explained(document: dict[str, Any], number: int = 0) -> list[Any]:
    """The contexts beyond the standard one and ours that hold for an event."""
    of_event = document["epcisBody"]["eventList"][number].get("@context", [])
    listed = of_event if isinstance(of_event, list) else [of_event]
    return [*document["@context"][1:-1], *listed]


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize("standard", [None, contexts.STANDARD])
def test_the_context_of_a_document_goes_with_its_extensions(form: Any, standard: str | None) -> None:
    given_form = form if standard is None else [standard, *(form if isinstance(form, list) else [form])]
    event = an_event(1, **{"acme:a": {"b:c": ["1"]}})
    document = went_out(*came_in(document_of(event, context=given_form)))

    assert explained(document) == (form if isinstance(form, list) else [form])
    assert document["@context"][0] == contexts.STANDARD
    assert document["epcisBody"]["eventList"][0]["acme:a"] == {"b:c": ["1"]}


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_the_context_of_an_event_goes_with_it(form: Any) -> None:
    event = an_event(**{"@context": form, "acme:a": "1"})

    assert explained(went_out(*came_in(document_of(event)))) == (form if isinstance(form, list) else [form])
    assert explained(went_out(*came_in(event))) == (form if isinstance(form, list) else [form])


def test_an_event_without_extensions_has_no_context() -> None:
    (plain,) = came_in(document_of(an_event(), context=[contexts.STANDARD, TEXTILE, ACME]))

    assert "@context" not in plain.metadata
    assert explained(went_out(plain)) == []


def test_contexts_that_agree_stand_in_the_document_and_others_with_their_events() -> None:
    first, second = (an_event(day, **{"acme:a": "1"}) for day in (1, 2))
    other = {"acme": "https://other.example/"}
    same = went_out(*came_in(document_of(first, second, context=[contexts.STANDARD, ACME])))
    differing = went_out(
        *came_in(document_of(first, context=ACME)), *came_in(document_of(second, context=other))
    )

    assert same["@context"][1] == ACME
    assert not any("@context" in event for event in same["epcisBody"]["eventList"])
    assert [explained(differing, number) for number in (0, 1)] == [[ACME], [other]]


@given(st.lists(st.tuples(st.sampled_from([None, *FORMS]), st.booleans(), st.booleans()), max_size=4))
def test_any_mixture_of_contexts_comes_in_again(made: list[tuple[Any, bool, bool]]) -> None:
    history = []
    for day, (form, is_of_event, is_extended) in enumerate(made, 1):
        more: dict[str, Any] = {"acme:a": "1"} if is_extended else {}
        more |= {"@context": form} if is_of_event and form is not None else {}
        history += came_in(document_of(an_event(day, **more), context=None if is_of_event else form))

    went_out(*history)


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ([{f"a{n}": "urn:a:"} for n in range(65)], "@context: at most 64 entries are read, got 65"),
        ({"a": "urn:" + "x" * 20_000}, "@context: at most 16,384 characters are read, got 20,0"),
    ],
)
def test_a_context_that_is_too_large_is_refused_with_a_sentence(context: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        documents.decode(json.dumps(document_of(an_event(), context=context)).encode())
    (skipped,) = capture.capture(an_event(**{"@context": context}), [], None)
    assert sentence in str(skipped.reason)


@pytest.mark.parametrize(
    "hostile",
    [
        lambda n: {"@context": [{"x": f"urn:x:{number}"} for number in range(n)]},
        lambda n: {"@context": [f"urn:x:{number}" for number in range(n)], "acme:a": "1"},
        lambda n: {"x:y": ["a:b"] * n, "@context": ACME},
        lambda n: {"type": "AggregationEvent", "parentID": "https://a/01/" + "1" * n + "/21/x"},
        lambda n: {"type": "AggregationEvent", "childEPCs": [f"urn:a:{number}" for number in range(n)]},
    ],
)
@pytest.mark.parametrize("start", [500, 10_000])
def test_going_out_takes_linear_time(hostile: Any, start: int) -> None:
    def cpu(size: int) -> float:
        wire = {"serial": "A", "type": "note", "occurred_at": "2026-01-01T00:00:00Z"}
        event = stored({**wire, "metadata": {"epcis": {"action": "OBSERVE", **hostile(size)}}})
        times = []
        for _ in range(3):
            began = time.process_time()
            export.document([event], ["2026-11-20T20:12:47Z"])
            times.append(time.process_time() - began)
        return min(times)

    assert cpu(4 * start) < 8 * cpu(start) + 0.02
