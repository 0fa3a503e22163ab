"""Kinesis records out of Lambda events, GetRecords answers and KPL aggregates."""

import hashlib
import sys
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stream import kpl, records
from tests.support.lambda_events import batch, record


def kpl_message(keys: list[str], inner: list[tuple[int, bytes]]) -> bytes:
    """A KPL protobuf message, written with the library's own definitions."""
    aggregate = kpl.aggregated_record()
    aggregate.partition_key_table.extend(keys)
    for index, data in inner:
        one = aggregate.records.add()
        one.partition_key_index = index
        one.data = data
    serialized: bytes = aggregate.SerializeToString()
    return serialized


def packed(message: bytes) -> bytes:
    return kpl.KPL_MAGIC + message + hashlib.md5(message).digest()


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
    data = packed(kpl_message(["a"], [(0, b"1"), (0, b"2")]))
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
    read = from_lambda(packed(kpl_message(["a", "b"], [(0, b"1"), (1, b"2"), (0, b"3")])))

    assert [(one.partition_key, one.data, one.sub) for one in read] == [
        ("a", b"1", 0),
        ("b", b"2", 1),
        ("a", b"3", 2),
    ]
    assert len({one.sequence_number for one in read}) == 1
    assert [one.id.rpartition("/")[2] for one in read] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(kpl.KPL_MAGIC, id="nothing but the magic"),
        pytest.param(kpl.KPL_MAGIC + b"x" * 16, id="no message"),
        pytest.param(packed(b"x" * 40), id="a message that is none"),
        pytest.param(packed(kpl_message(["a"], [(0, b"1")]))[:-1] + b"!", id="a wrong checksum"),
        pytest.param(packed(kpl_message(["a"], [(0, b"1"), (7, b"2")])), id="an index that points nowhere"),
        pytest.param(packed(kpl_message(["a"], [(2**64 - 1, b"1")])), id="an index larger than any list"),
        pytest.param(
            packed(kpl_message(["ab"], [(0, b"1")]).replace(b"ab", b"\xff\xfe")),
            id="a key not in UTF-8",
        ),
        pytest.param(packed(kpl_message([""], [(0, b"1")])), id="an empty key"),
        pytest.param(packed(kpl_message(["k" * 257], [(0, b"1")])), id="a key longer than Kinesis takes"),
        pytest.param(packed(kpl_message(["a"], [])), id="no record inside"),
    ],
)
def test_what_only_looks_aggregated_stays_whole(data: bytes) -> None:
    (whole,) = from_lambda(data)

    assert (whole.data, whole.sub) == (data, None)


@given(st.binary(max_size=80))
def test_no_data_behind_the_magic_makes_a_crash_or_a_loss(rest: bytes) -> None:
    assert from_lambda(kpl.KPL_MAGIC + rest)
    assert from_lambda(packed(rest))


def test_deaggregation_leaves_the_import_path_alone() -> None:
    path = list(sys.path)

    from_lambda(packed(kpl_message(["a"], [(0, b"1")])))

    assert sys.path == path
