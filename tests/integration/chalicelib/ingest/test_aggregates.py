"""KPL aggregates and empty batches through the deployed handler into real tables."""

from typing import Any

import boto3
import pytest
from chalice.test import Client

from chalicelib import wiring
from tests.support.aggregates import aggregated, field, message, packed
from tests.support.lambda_events import STREAM_ARN, batch, record, sequence_numbers, wire
from tests.support.triage import notes, set_aside, stored

NOTHING_UNFINISHED = {"batchItemFailures": []}
NESTED = aggregated(wire("SN-NESTED"))
TWICE = field(1, 0) + field(3, wire("SN-A")) + field(3, wire("SN-B"))


def of_records(*inner: bytes) -> bytes:
    """An aggregate of these Record messages, and two good ones around them."""
    first, last = (field(3, field(1, 0) + field(3, note)) for note in notes(2))
    return packed(field(1, b"a") + first + b"".join(field(3, each) for each in inner) + last)


@pytest.mark.parametrize(
    ("aggregate", "payload", "sentence"),
    [
        pytest.param(
            of_records(TWICE), TWICE, "record 1 of the aggregate: it holds `data` twice", id="data twice"
        ),
        pytest.param(of_records(b""), b"", "record 1 of the aggregate: it holds no `data`", id="no data"),
        pytest.param(
            of_records(field(3, NESTED)),
            NESTED,
            "record 1 of the aggregate: its data is an aggregate, and aggregates do not nest",
            id="an aggregate",
        ),
        pytest.param(
            of_records(field(1, 7) + field(3, b"?")),
            b"?",
            "record 1 of the aggregate: it names partition key 7, counted from 0, of 1; and it is no event: "
            "not JSON at line 1 column 1: Expecting value",
            id="a key that is nowhere, of what is no event",
        ),
    ],
)
def test_a_record_of_an_aggregate_that_cannot_be_read_is_a_case_and_its_neighbours_are_stored(
    listening: Client, aggregate: bytes, payload: bytes, sentence: str
) -> None:
    delivered = record(aggregate, partition_key="the-aggregate-s")

    response = listening.lambda_.invoke("process_lifecycle", {"Records": [delivered]})

    assert response.payload == NOTHING_UNFINISHED
    assert stored() == [0, 1]
    (case,) = set_aside()
    assert (case.reason, case.sentence, case.payload) == ("invalid_aggregate", sentence, payload)
    assert case.id == f"lifecycle-test-events/{delivered['eventID'].replace(':', '/')}/1"
    assert case.partition_key == "the-aggregate-s"  # the one that it has is none, or is not known


def test_an_aggregate_that_is_not_what_its_checksum_says_is_a_case(listening: Client) -> None:
    damaged = aggregated(*notes(2)) + b"\n"

    response = listening.lambda_.invoke("process_lifecycle", batch([damaged, *notes(1)]))

    assert response.payload == NOTHING_UNFINISHED
    assert stored() == [0]
    (case,) = set_aside()
    assert (case.reason, case.payload) == ("invalid_aggregate", damaged)
    assert case.sentence == "bytes behind the aggregate's checksum, which fits without them (in hex): 0a"


def test_an_aggregate_that_breaks_off_is_a_case_and_what_stands_before_is_stored(listening: Client) -> None:
    broken = packed(message(["a"], [(0, note) for note in notes(2)]) + b"\x1a\x7f{")

    listening.lambda_.invoke("process_lifecycle", batch([broken]))

    assert stored() == [0, 1]
    (case,) = set_aside()
    assert (case.reason, case.payload) == ("invalid_aggregate", broken)


@pytest.mark.parametrize("index", [0, 1, 7])
def test_an_event_is_stored_whatever_its_partition_key(listening: Client, index: int) -> None:
    """No key at all would be as good: an event's own serial decides where it lies."""
    (note,) = notes(1)

    listening.lambda_.invoke("process_lifecycle", batch([packed(message(["", "k" * 300], [(index, note)]))]))

    assert (stored(), set_aside()) == ([0], [])


def test_an_aggregate_of_nothing_is_nothing(listening: Client) -> None:
    response = listening.lambda_.invoke(
        "process_lifecycle", batch([packed(field(1, b"a")), packed(b""), *notes(1)])
    )

    assert response.payload == NOTHING_UNFINISHED
    assert (stored(), set_aside()) == ([0], [])


#: What a mapping with a tumbling window adds to the event (Lambda developer guide, "Stateful processing").
WINDOW: dict[str, Any] = {
    "window": {"start": "2026-01-01T10:00:00Z", "end": "2026-01-01T10:02:00Z"},
    "state": {"1": 282},
    "shardId": "shardId-000000000006",
    "eventSourceARN": STREAM_ARN,
    "isFinalInvokeForWindow": True,
    "isWindowTerminatedEarly": False,
}


@pytest.mark.parametrize("function", ["process_lifecycle", "triage_dead_letters"])
def test_an_invocation_without_records_is_a_batch_of_nothing(listening: Client, function: str) -> None:
    assert listening.lambda_.invoke(function, {"Records": []}).payload == NOTHING_UNFINISHED

    assert boto3.client("dynamodb").scan(TableName=wiring.settings.history_table())["Count"] == 0
    assert set_aside() == []


@pytest.mark.parametrize("count", [0, 2])
def test_a_tumbling_window_gets_its_state_back(listening: Client, count: int) -> None:
    """Lambda takes an answer without `state` for a failure, and a failed last one stops the shard."""
    event = {**batch(notes(count)), **WINDOW}

    assert listening.lambda_.invoke("process_lifecycle", event).payload == {
        **NOTHING_UNFINISHED,
        "state": {"1": 282},
    }

    assert stored() == list(range(count))


def test_an_unfinished_window_says_so_and_gets_its_state_back(
    listening: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {**batch(notes(2)), **WINDOW}
    monkeypatch.setenv("LIFECYCLE_HISTORY_TABLE", "no-such-table")
    wiring.reset()

    answer = listening.lambda_.invoke("process_lifecycle", event).payload

    assert answer == {
        "batchItemFailures": [{"itemIdentifier": sequence_numbers(event)[0]}],
        "state": {"1": 282},
    }
