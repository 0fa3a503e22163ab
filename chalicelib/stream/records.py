"""Kinesis records: out of Lambda's event or a GetRecords answer, and out of KPL aggregates.

A record here is one user record: an
aggregate becomes as many as it holds, each with its sub-sequence number and all with the same sequence
number (KDS developer guide, "Consumer De-aggregation").
"""

from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.stream import kpl

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import RecordTypeDef


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
        if kpl.is_aggregate(record.data):
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
    aggregate = kpl.parse(record.data) if kpl.is_aggregate(record.data) else None
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
