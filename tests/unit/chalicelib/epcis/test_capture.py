"""EPCIS in: which events an EPCIS event makes, and why it makes none."""

import json
from typing import Any

import pytest

from chalicelib import strict_json
from chalicelib.epcis import capture
from tests.support import whole_history
from tests.support.stored_events import stored


def captured(event: dict[str, Any]) -> list[capture.Captured]:
    whole = {
        "type": "ObjectEvent",
        "eventTime": "2026-01-01T10:00:00Z",
        "eventTimeZoneOffset": "+01:00",
        "action": "OBSERVE",
        "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
        **event,
    }
    return list(capture.capture(strict_json.decode(json.dumps(whole)), [], None))


def test_an_error_declaration_takes_the_event_out_that_it_names() -> None:
    wrong = captured({"bizStep": "destroying", "disposition": "destroyed", "eventID": "urn:uuid:1"})[0].wire
    declared = {"declarationTime": "2026-01-02T00:00:00Z", "reason": "did_not_occur"}
    void = captured(
        {
            "bizStep": "destroying",
            "disposition": "destroyed",
            "eventID": "urn:uuid:1",
            "errorDeclaration": declared,
        }
    )[0].wire
    assert wrong is not None
    assert void is not None
    history, now = [stored(wrong), stored(void)], "2027-01-01T00:00:00.000000Z"

    voided = whole_history.reading(history, now).voided

    assert {position: voiding.by for position, voiding in voided.items()} == {
        stored(wrong).position: stored(void).position
    }
    assert whole_history.status(history, now) is None


def test_one_item_in_many_spellings_is_one_product() -> None:
    spellings = [
        "urn:epc:id:sgtin:0614141.107346.S77",
        "https://id.gs1.org/01/10614141073464/21/S77",
        "https://id.gs1.org/01/10614141073464/10/LOT1/21/S77",
        "https://brand.example/01/10614141073464/21/S77?17=290101",
    ]
    wires = [each.wire for epc in spellings for each in captured({"epcList": [epc]})]

    assert {wire["serial"] for wire in wires if wire} == {"gs1:01:10614141073464:21:S77"}
    kept = [wire["metadata"].get("epcis", {}).get("epcList") for wire in wires if wire]
    assert kept == [[spellings[0]], None, [spellings[2]], [spellings[3]]]


def test_an_item_that_an_event_names_twice_has_one_event() -> None:
    (only,) = captured(
        {"epcList": ["urn:epc:id:sgtin:0614141.107346.S77", "https://b.example/01/10614141073464/21/S77"]}
    )

    assert only.wire is not None
    assert only.wire["metadata"]["epcis"]["epcList"] == ["urn:epc:id:sgtin:0614141.107346.S77"]


def test_an_event_meant_for_one_product_says_nothing_of_its_neighbours() -> None:
    (only,) = captured(
        {
            "type": "AggregationEvent",
            "parentID": "urn:epc:id:sscc:0614141.1234567890",
            "childEPCs": ["SN 1", "urn:epc:id:sgtin:0614141.107346.S77"],
            "lifecycle:serial": "gs1:00:106141412345678908",
        }
    )

    assert only.wire is not None
    assert only.wire["serial"] == "gs1:00:106141412345678908"


def test_local_time_is_where_it_happened() -> None:
    (only,) = captured({"eventTime": "2026-01-01T23:30:00.1234567890Z", "eventTimeZoneOffset": "+05:30"})

    assert only.wire is not None
    assert only.wire["occurred_at"] == "2026-01-02T05:00:00.123456789+05:30"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"type": "Event"}, "not one of the five event types of EPCIS 2.0"),
        ({"epcList": []}, "names no EPC"),
        ({"epcList": ["SN 1"]}, "epcList: not an EPC: 'SN 1'"),
        ({"epcList": [7]}, "epcList: an EPC is a string"),
        ({"epcList": ["urn:epc:idpat:sgtin:4012345.066666.*"]}, "names a class and has no serial"),
        ({"epcList": ["https://id.gs1.org/01/70614141123451/10/99"]}, "names a class and has no serial"),
        ({"epcList": ["https://id.gs1.org/8003/04843847384737"]}, "a GRAI without a serial number"),
        ({"epcList": ["https://id.gs1.org/gtin/09780345418913"]}, "a GTIN without a serial number"),
        ({"epcList": ["https://id.gs1.org/01/70614141123452/21/1"]}, "check digit is 2, expected 1"),
        ({"epcList": ["https://a/01/" + "1" * 200_000 + "/21/x"]}, "at most 2,048 characters, got 200,018"),
        ({"lifecycle:serial": "SN-1"}, "lifecycle:serial: no EPC of the event has the serial 'SN-1'"),
        ({"epcList": ["urn:" + "x" * 200]}, "makes a serial number of 204 characters, over 128"),
        ({"eventTime": "yesterday"}, "eventTime: expected RFC 3339 with an offset, got 'yesterday'"),
        ({"eventTime": None}, "eventTime: expected a string"),
        ({"eventTimeZoneOffset": "CET"}, "eventTimeZoneOffset: expected an offset such as +01:00, got 'CET'"),
        ({"errorDeclaration": {}}, "errorDeclaration: has no declarationTime"),
        ({"quantityList": [{"epcClass": "urn:c"}], "epcList": []}, "'urn:c' is a class-level quantity"),
    ],
)
def test_what_makes_no_event_is_skipped_with_the_reason(event: dict[str, Any], reason: str) -> None:
    (only,) = captured(event)

    assert only.wire is None
    assert only.reason is not None
    assert reason in only.reason


def test_each_thing_of_an_aggregation_has_its_own_story() -> None:
    parent, *children = captured(
        {
            "type": "AggregationEvent",
            "parentID": "urn:epc:id:sscc:0614141.1234567890",
            "childEPCs": ["urn:epc:id:sgtin:0614141.107346.2017", "urn:epc:id:sgtin:0614141.107346.2018"],
            "bizStep": "packing",
        }
    )

    assert parent.wire is not None
    assert len(parent.wire["metadata"]["epcis"]["childEPCs"]) == 2
    assert [child.wire and child.wire["metadata"]["epcis"]["childEPCs"] for child in children] == [
        ["urn:epc:id:sgtin:0614141.107346.2017"],
        ["urn:epc:id:sgtin:0614141.107346.2018"],
    ]
