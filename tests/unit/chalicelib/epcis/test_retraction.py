"""Error declarations: which event they take out, and how voids go out as them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import lifecycle
from chalicelib.epcis import capture, documents, export
from chalicelib.tables.history import StoredEvent
from tests.support import gs1_items, whole_history
from tests.support.stored_events import stored

NOW = "2027-01-01T00:00:00.000000Z"
RECORDED = "2026-11-20T20:12:47.123Z"
EPC = "urn:epc:id:sgtin:0614141.107346.S77"
DECLARATION = {"declarationTime": "2026-05-01T00:00:00Z", "reason": "did_not_occur"}
THEFT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventID": "urn:uuid:11111111-1111-4111-8111-111111111112",
    "eventTime": "2026-04-03T20:33:31Z",
    "eventTimeZoneOffset": "+00:00",
    "action": "OBSERVE",
    "disposition": "stolen",
    "epcList": [EPC],
}
SOLD: dict[str, Any] = {
    **THEFT,
    "eventID": "urn:uuid:1",
    "eventTime": "2026-03-01T00:00:00Z",
    "bizStep": "accepting",
    "disposition": "sellable_accessible",
}


def came_in(*events: dict[str, Any], sender: str | None = None) -> list[StoredEvent]:
    document: dict[str, Any] = {"type": "EPCISDocument", "epcisBody": {"eventList": events}}
    found = documents.decode(json.dumps({**document, "sender": sender}).encode())
    captured = [
        each for event in found.events for each in capture.capture(event, found.contexts, found.sender)
    ]
    assert [each.reason for each in captured if each.wire is None] == []
    return [stored(each.wire) for each in captured if each.wire is not None]


def went_out(history: list[StoredEvent]) -> list[dict[str, Any]]:
    newest_first = [
        event for event in whole_history.in_table_order(history) if isinstance(event, StoredEvent)
    ]
    voided = whole_history.reading(history, NOW).voided
    document = export.document(newest_first, [RECORDED] * len(history), voided)
    again = documents.decode(document.encode())
    wires = [
        each.wire for event in again.events for each in capture.capture(event, again.contexts, again.sender)
    ]
    assert [stored(wire) for wire in wires if wire] == newest_first, "what goes out comes in again"
    found: list[dict[str, Any]] = json.loads(document)["epcisBody"]["eventList"]
    return found


VARIANTS: dict[str, dict[str, Any]] = {
    "as it was": {},
    "with empty lists": {"bizTransactionList": [], "sourceList": [], "quantityList": []},
    "the EPC as a Digital Link": {"epcList": ["https://id.gs1.org/01/10614141073464/21/S77"]},
    "the EPC with a lot": {"epcList": ["https://b.example/01/10614141073464/10/L1/21/S77?17=290101"]},
    "at another offset": {"eventTime": "2026-04-03T22:33:31+02:00", "eventTimeZoneOffset": "+02:00"},
    "with the id under its JSON-LD name": {"eventID": None, "id": THEFT["eventID"]},
    "with words spelled out": {"disposition": "https://ref.gs1.org/cbv/Disp-stolen"},
    "hashed again, the old id named": {
        "eventID": "ni:///sha-256;22?ver=CBV2.0",
        "errorDeclaration": {**DECLARATION, "acme:eventID": THEFT["eventID"]},
    },
}


@pytest.mark.parametrize("sender", [None, "urn:epc:id:sgln:0614141.00001.0"])
@pytest.mark.parametrize("variant", list(VARIANTS)[:-3])
def test_a_retraction_without_an_id_finds_its_event_by_content(variant: str, sender: str | None) -> None:
    theft = {name: value for name, value in THEFT.items() if name != "eventID"}
    another = {**theft, "readPoint": {"id": "urn:epc:id:sgln:0614141.07346.1234"}}
    again = {"errorDeclaration": DECLARATION, **dict(reversed(theft.items())), **VARIANTS[variant]}
    history = came_in(SOLD, theft, another, sender="urn:epc:id:sgln:0614141.00001.0")
    history += came_in(again, sender=sender)

    assert list(whole_history.reading(history, NOW).voided) == [history[1].position]
    assert len(went_out(history)) == 4


@pytest.mark.parametrize("sender", [None, "urn:epc:id:sgln:0614141.00001.0"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_retraction_finds_its_event_however_it_is_written(variant: str, sender: str | None) -> None:
    again = {"errorDeclaration": DECLARATION, **dict(reversed(THEFT.items())), **VARIANTS[variant]}
    again = {name: value for name, value in again.items() if value is not None}
    history = came_in(SOLD, THEFT, sender="urn:epc:id:sgln:0614141.00001.0") + came_in(again, sender=sender)

    assert whole_history.status(history, NOW) == ("registered", "2026-03-01T00:00:00Z")
    assert [voiding.why for voiding in whole_history.reading(history, NOW).voided.values()] == [
        "did_not_occur"
    ]


def test_a_retraction_keeps_the_whole_event_that_it_declares() -> None:
    theft = {**THEFT, "acme:guard": {"name": "Jo"}, "readPoint": {"id": "urn:epc:id:sgln:0614141.07346.1234"}}
    declared, void = came_in(theft, {**theft, "errorDeclaration": DECLARATION})

    kept = json.loads(void.metadata)["epcis"]

    assert stored({**kept["declared"], "serial": void.serial}) == declared
    assert kept["errorDeclaration"] == DECLARATION


def test_an_event_of_the_future_is_taken_out_when_its_time_comes() -> None:
    clock = {**THEFT, "eventTime": "2026-12-03T20:33:31.5Z"}
    history = came_in(SOLD, clock, {**clock, "errorDeclaration": DECLARATION})

    assert history[-1].occurred_at == "2026-12-03T20:33:31.5Z"
    for now in ("2026-11-28T00:00:00.000000Z", "2026-12-03T20:33:31.500000Z", NOW):
        assert whole_history.status(history, now) == ("registered", "2026-03-01T00:00:00Z")


def test_a_retraction_of_nothing_says_which_event_it_means() -> None:
    history = came_in(SOLD, {**THEFT, "errorDeclaration": DECLARATION})

    odd = whole_history.reading(history, NOW).anomalies[0]

    assert odd.code == "void_names_missing"
    assert THEFT["eventID"] in odd.message


def test_a_retraction_goes_out_as_the_event_with_the_declaration() -> None:
    history = came_in(SOLD, THEFT, {**THEFT, "errorDeclaration": DECLARATION})

    retraction, theft, _ = went_out(history)

    assert retraction["errorDeclaration"] == DECLARATION
    assert "errorDeclaration" not in theft
    for name, value in THEFT.items():
        assert retraction[name] == theft[name] == value


@pytest.mark.parametrize("names", ["event_id", "position"])
def test_a_void_of_ones_own_goes_out_as_the_event_that_it_takes_out(names: str) -> None:
    sold, theft = came_in(SOLD, THEFT)
    void = stored(
        {
            "serial": theft.serial,
            "type": "void",
            "occurred_at": "2026-06-01T02:00:00+02:00",
            "source": "ops",
            "metadata": {names: getattr(theft, names), "why": "incorrect_data"},
        }
    )

    retraction, *_ = went_out([sold, theft, void])
    (alone,) = went_out([void])

    assert retraction["eventID"] == theft.event_id
    assert retraction["errorDeclaration"] == {
        "declarationTime": "2026-06-01T02:00:00+02:00",
        "reason": "incorrect_data",
    }
    assert alone["bizStep"] == "urn:x-lifecycle:step:void"


def test_a_retraction_that_is_taken_out_itself_declares_nothing() -> None:
    history = came_in(SOLD, THEFT, {**THEFT, "errorDeclaration": DECLARATION})
    brought_back = stored(
        {
            "serial": history[0].serial,
            "type": "void",
            "occurred_at": "2026-06-01T00:00:00Z",
            "metadata": {"position": history[-1].position},
        }
    )

    assert whole_history.status([*history, brought_back], NOW) == ("stolen", "2026-04-03T20:33:31Z")
    assert not any("errorDeclaration" in event for event in went_out([*history, brought_back]))


STEPS = {
    "production": {"action": "ADD", "bizStep": "commissioning", "disposition": "active"},
    "inventory": {"action": "OBSERVE", "bizStep": "storing"},
    "theft": {"action": "OBSERVE", "disposition": "stolen"},
    "retirement": {"action": "DELETE", "bizStep": "decommissioning"},
}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, str | None]]:
    """EPCIS events in any order, and what each serial number is by the plainest of rules."""
    sent: list[dict[str, Any]] = []
    expected: dict[str, str | None] = {}
    for number, item in enumerate(draw(st.lists(gs1_items.items(), min_size=1, max_size=2, unique_by=repr))):
        spellings = gs1_items.spellings(item)
        valid = []
        for hour, step in enumerate(draw(st.lists(st.sampled_from(sorted(STEPS)), max_size=4))):
            written = {
                "type": "ObjectEvent",
                "eventTime": f"2026-01-01T{hour:02}:00:00Z",
                "eventTimeZoneOffset": "+00:00",
                **STEPS[step],
                "epcList": [draw(spellings)],
            }
            if draw(st.booleans()):
                written["eventID"] = f"urn:x:{number}:{hour}"
            sent.append(written)
            if not draw(st.booleans()):
                valid.append(step)
                continue
            declared = {**written, "errorDeclaration": DECLARATION}
            declared |= {"epcList": [draw(spellings)]} | draw(EMPTY)
            if draw(st.booleans()):
                declared |= {"eventTimeZoneOffset": "-03:30"}
            sent.append(dict(draw(st.permutations(sorted(declared.items())))))
        (serial,) = {each.serial for each in came_in({**THEFT, "epcList": [draw(spellings)]})}
        expected[serial] = lifecycle.KINDS[valid[-1]].gives if valid else None
    return draw(st.permutations(sent)), expected


EMPTY: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"bizTransactionList": []}, {"sensorElementList": [], "sourceList": []}]
)


@given(histories(), st.sampled_from([None, "acme"]))
def test_what_is_retracted_in_any_spelling_decides_nothing(
    made: tuple[list[dict[str, Any]], dict[str, str | None]], sender: str | None
) -> None:
    sent, expected = made
    wrong = [event for event in sent if "errorDeclaration" in event]
    came = came_in(*(event for event in sent if event not in wrong), sender="acme")
    came += came_in(*wrong, sender=sender)

    for serial, status in expected.items():
        history = [event for event in came if event.serial == serial]
        found = whole_history.status(history, NOW)
        assert (found[0] if found else None) == status
        if history:
            went_out(history)
