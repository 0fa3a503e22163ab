"""Kinesis records: out of Lambda's event or a GetRecords answer, and out of KPL aggregates.

The only place that knows those two shapes and the KPL format.  A record here is one user record: an
aggregate becomes as many as it holds, each with its sub-sequence number and all with the same sequence
number (KDS developer guide, "Consumer De-aggregation").

Of `aws-kinesis-agg` the message definitions are used and not its `deaggregator`: on an index that points
outside its tables that prints the error and drops the rest of the aggregate, which is a silent loss.
"""

import hashlib
import sys
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import RecordTypeDef

#: How an aggregated record's data begins (awslabs/amazon-kinesis-producer, aggregation-format.md).
KPL_MAGIC = b"\xf3\x89\x9a\xc2"
_MD5_BYTES = 16

#: The longest partition key (Kinesis API reference, PutRecord).
_MAX_KEY_CHARACTERS = 256


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One user record: what somebody put on the stream, and where it lies there."""

    stream: str
    shard_id: str
    sequence_number: str  # decimal digits; compare as int
    sub: int | None = None  # its place inside a KPL aggregate
    partition_key: str
    arrived_at_ms: int
    data: bytes

    @property
    def id(self) -> str:
        """`stream/shardId/sequenceNumber[/sub]`: the same on every delivery."""
        place = f"{self.stream}/{self.shard_id}/{self.sequence_number}"
        return place if self.sub is None else f"{place}/{self.sub}"


class UserRecord(Record, frozen=True, kw_only=True, gc=False):
    """One of the records in a KPL aggregate."""

    aggregate: Record  # what lies on the stream


def from_lambda_event(event: Mapping[str, Any]) -> Iterator[Record]:
    """The user records of a Lambda event (DG/with-kinesis), in order."""
    for delivered in event["Records"]:
        kinesis = delivered["kinesis"]
        record = Record(
            stream=delivered["eventSourceARN"].rpartition("/")[2],
            shard_id=delivered["eventID"].partition(":")[0],
            sequence_number=kinesis["sequenceNumber"],
            partition_key=kinesis["partitionKey"],
            arrived_at_ms=round(kinesis["approximateArrivalTimestamp"] * 1000),
            data=a2b_base64(kinesis["data"]),
        )
        if record.data.startswith(KPL_MAGIC):
            yield from deaggregate(record)
        else:
            yield record


def from_get_records(stream: str, shard_id: str, answered: Iterable["RecordTypeDef"]) -> Iterator[Record]:
    """The user records of a GetRecords answer, in order."""
    for read in answered:
        arrived: datetime = read["ApproximateArrivalTimestamp"]
        yield from deaggregate(
            Record(
                stream=stream,
                shard_id=shard_id,
                sequence_number=read["SequenceNumber"],
                partition_key=read["PartitionKey"],
                arrived_at_ms=round(arrived.timestamp() * 1000),
                data=read["Data"],
            )
        )


def deaggregate(record: Record) -> Iterator[Record]:
    """The user records inside a KPL aggregate, one at a time; the record itself when it is none.

    Data that only looks aggregated (wrong checksum, broken message, an index that points nowhere, a partition
    key that Kinesis would not have taken, no record inside) stays whole, so that it ends in quarantine with
    every byte.
    """
    aggregate = _aggregate(record.data) if record.data.startswith(KPL_MAGIC) else None
    if aggregate is None:
        yield record
        return
    keys = list(aggregate.partition_key_table)
    for sub, inner in enumerate(aggregate.records):
        yield UserRecord(
            stream=record.stream,
            shard_id=record.shard_id,
            sequence_number=record.sequence_number,
            sub=sub,
            partition_key=keys[inner.partition_key_index],
            arrived_at_ms=record.arrived_at_ms,
            data=inner.data,
            aggregate=record,
        )


def _aggregate(data: bytes) -> Any:
    """The AggregatedRecord message that data with the KPL's beginning holds; None when it is not whole."""
    message, checksum = data[len(KPL_MAGIC) : -_MD5_BYTES], data[-_MD5_BYTES:]
    if not message or hashlib.md5(message, usedforsecurity=False).digest() != checksum:
        return None
    from google.protobuf.message import DecodeError  # 25 ms, and most streams never need it

    aggregate = aggregated_record()
    try:
        aggregate.ParseFromString(message)
        keys = list(aggregate.partition_key_table)
    except (DecodeError, UnicodeDecodeError):  # some builds of protobuf say it so, where text is not UTF-8
        return None
    inside = aggregate.records
    points_nowhere = any(inner.partition_key_index >= len(keys) for inner in inside)
    return aggregate if inside and not points_nowhere and all(map(_is_key, keys)) else None


def _is_key(key: object) -> bool:
    """Whether Kinesis takes this as a partition key; one that is not UTF-8 comes as bytes."""
    return isinstance(key, str) and 1 <= len(key) <= _MAX_KEY_CHARACTERS


def aggregated_record() -> Any:
    """An empty AggregatedRecord message of the KPL's; importing it changes sys.path, which is put back."""
    path = list(sys.path)
    try:
        from aws_kinesis_agg.deaggregator import messages_pb2
    finally:
        sys.path[:] = path
    return messages_pb2.AggregatedRecord()
