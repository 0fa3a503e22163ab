"""Kinesis records: out of Lambda's event or a GetRecords answer, and out of KPL aggregates.

A record here is one user record: an aggregate becomes as many as it holds, each with its sub-sequence number
and all with the same sequence number (KDS developer guide, "Consumer De-aggregation").  Aggregates are read
one record at a time and never held as lists: a page of 10 MB can hold five million records.
"""

from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.domain import events
from chalicelib.domain.events import Event
from chalicelib.errors import InvalidAggregateError, InvalidEventError
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
    flaw: str = ""  # of an aggregate, or of one of its records: why nothing in it can be used

    @property
    def id(self) -> str:
        """`stream/shardId/sequenceNumber[/sub]`: the same on every delivery."""
        place = f"{self.stream}/{self.shard_id}/{self.sequence_number}"
        return place if self.sub is None else f"{place}/{self.sub}"


class UserRecord(Record, frozen=True, kw_only=True, gc=False):
    """One of the records in a KPL aggregate."""

    aggregate: Record  # what lies on the stream
    key_flaw: str = ""  # why the partition key is not its own


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


def decode(record: Record) -> Event:
    """Return the event that a record holds.

    A record of an aggregate needs no partition key for that: an event's place is its own serial's.  Raises
    InvalidAggregateError, or InvalidEventError as `events.decode` does.
    """
    if record.flaw:
        raise InvalidAggregateError(record.flaw)
    try:
        return events.decode(record.data)
    except InvalidEventError as exc:
        if isinstance(record, UserRecord) and record.key_flaw:
            raise InvalidAggregateError(
                f"record {record.sub} of the aggregate: {record.key_flaw}; and it is no event: {exc}"
            ) from exc
        raise


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

    What is no user record is given in its place with its flaw.  An aggregate with a flaw of its own is given
    whole, behind those of its user records that could be read.  An aggregate of nothing gives nothing.
    """
    if not kpl.is_aggregate(record.data):
        yield record
        return
    aggregate = kpl.Aggregate(record.data)
    for sub, (data, partition_key, flaw, key_flaw) in enumerate(aggregate):
        yield UserRecord(
            stream=record.stream,
            shard_id=record.shard_id,
            sequence_number=record.sequence_number,
            sub=sub,
            # An event needs none of its own, and what is redriven goes where the aggregate went.
            partition_key=record.partition_key if partition_key is None else partition_key,
            arrived_at_ms=record.arrived_at_ms,
            data=data,
            flaw=flaw and f"record {sub} of the aggregate: {flaw}",
            aggregate=record,
            key_flaw=key_flaw,
        )
    if aggregate.flaw:
        yield msgspec.structs.replace(record, flaw=aggregate.flaw)
