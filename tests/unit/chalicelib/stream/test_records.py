"""Kinesis records out of Lambda events, GetRecords answers and KPL aggregates."""

from datetime import datetime, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import RecordError
from chalicelib.stream import kpl, records
from tests.support.aggregates import aggregated, field, message, packed
from tests.support.lambda_events import batch, record, wire


def from_lambda(data: bytes) -> list[records.Record]:
    return list(records.from_lambda_event(batch([data])))


def test_a_record_knows_its_place_on_the_stream() -> None:
    delivered = record(b"data", partition_key="SN-9", arrived_at=1790000000.987)

    (read,) = records.from_lambda_event({"Records": [delivered]})

    assert read.id == "lifecycle-test-events/shardId-000000000000/" + delivered["kinesis"]["sequenceNumber"]
    assert (read.data, read.partition_key, read.arrived_at_ms, read.sub) == (
        b"data",
        "SN-9",
        1790000000987,
        None,
    )


def test_both_ways_in_give_the_same_records() -> None:
    data = packed(message(["a"], [(0, b"1"), (0, b"2")]))
    delivered = record(data, partition_key="k", arrived_at=1790000000.5)
    answered: Any = {
        "SequenceNumber": delivered["kinesis"]["sequenceNumber"],
        "PartitionKey": "k",
        "ApproximateArrivalTimestamp": datetime.fromtimestamp(1790000000.5, timezone.utc),
        "Data": data,
    }

    read = records.from_get_records("lifecycle-test-events", "shardId-000000000000", [answered])

    assert list(read) == list(records.from_lambda_event({"Records": [delivered]}))


def test_an_aggregate_becomes_its_records_with_sub_sequence_numbers() -> None:
    read = from_lambda(packed(message(["a", "b"], [(0, b"1"), (1, b"2"), (0, b"3")])))

    assert [(one.partition_key, one.data, one.sub) for one in read] == [
        ("a", b"1", 0),
        ("b", b"2", 1),
        ("a", b"3", 2),
    ]
    assert len({one.sequence_number for one in read}) == 1
    assert [one.id.rpartition("/")[2] for one in read] == ["0", "1", "2"]


def inside(data: bytes) -> list[records.Record]:
    """The user records of a Kinesis record with this data."""
    place = {"stream": "s", "shard_id": "shardId-0", "sequence_number": "1"}
    return list(records.deaggregate(records.Record(**place, partition_key="key", arrived_at_ms=1, data=data)))


def verdicts(found: list[records.Record]) -> list[str]:
    """The serial of each record's event, or why it holds none."""
    said = []
    for each in found:
        try:
            said.append(records.decode(each).serial)
        except RecordError as exc:
            said.append(f"{exc.reason}: {exc}")
    return said


def test_an_aggregate_of_nothing_gives_nothing() -> None:
    assert inside(packed(field(1, b"a"))) == []


def test_an_aggregate_that_is_damaged_is_given_whole_with_its_flaw() -> None:
    data = aggregated(wire())[:-1]

    (whole,) = found = inside(data)

    assert (whole.data, whole.sub, whole.id) == (data, None, "s/shardId-0/1")
    assert verdicts(found) == [
        "invalid_aggregate: the aggregate's checksum is wrong: its message is damaged, or is none"
    ]


def test_an_aggregate_that_breaks_off_is_given_whole_behind_its_records() -> None:
    data = packed(message(["a"], [(0, wire("SN-7"))]) + b"\x1a")

    found = inside(data)

    assert [(each.sub, each.data) for each in found] == [(0, wire("SN-7")), (None, data)]
    serial, flaw = verdicts(found)
    assert serial == "SN-7"
    assert flaw.startswith("invalid_aggregate: what the aggregate holds is not a protobuf message: no number")


def test_an_event_needs_no_partition_key_of_its_own() -> None:
    found = inside(packed(message([""], [(0, wire("SN-7")), (5, wire("SN-8"))])))

    assert verdicts(found) == ["SN-7", "SN-8"]
    assert [each.partition_key for each in found] == ["key", "key"]


def test_what_is_no_event_and_has_no_partition_key_says_both() -> None:
    found = inside(packed(message(["", "b"], [(0, b"?"), (1, b"?"), (2, b"?")])))

    assert verdicts(found) == [
        "invalid_aggregate: record 0 of the aggregate: partition key 0 has 0 characters; Kinesis takes 1 to "
        "256 characters; and it is no event: not JSON at line 1 column 1: Expecting value",
        "not_json: not JSON at line 1 column 1: Expecting value",
        "invalid_aggregate: record 2 of the aggregate: it names partition key 2, counted from 0, of 2; and "
        "it is no event: not JSON at line 1 column 1: Expecting value",
    ]


def test_a_flawed_record_keeps_its_place_its_bytes_and_its_neighbours() -> None:
    twice = field(1, 0) + field(3, wire("SN-7")) + field(3, wire("SN-8"))
    good = field(3, field(1, 0) + field(3, wire("SN-9")))

    found = inside(packed(field(1, b"a") + good + field(3, twice) + good))

    assert verdicts(found) == [
        "SN-9",
        "invalid_aggregate: record 1 of the aggregate: it holds `data` twice",
        "SN-9",
    ]
    assert (found[1].id, found[1].data, found[1].partition_key) == ("s/shardId-0/1/1", twice, "key")


@given(st.binary(max_size=80))
def test_no_data_behind_the_mark_makes_a_crash(rest: bytes) -> None:
    verdicts(from_lambda(kpl.KPL_MAGIC + rest))
    verdicts(from_lambda(packed(rest)))
