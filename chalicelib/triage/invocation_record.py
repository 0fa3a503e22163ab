"""A dead-letter message: Lambda's record of an invocation it gave up on, parsed.

The only place that knows that record's shape (Lambda developer guide, "Retain discarded batches").  It holds
pointers into the stream and none of the records.  Anybody who may send to the queue may have written it, so
nothing in it is believed before it has been parsed.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from chalicelib.errors import RecordError

# Kinesis API reference, GetShardIterator, but leading zeros are allowed: other engines pad their sequence
# numbers and want them back as they gave them.  `\Z`, because `$` would let a line feed through.
_Number = Annotated[str, Meta(pattern=r"^[0-9]{1,129}\Z")]
_ShardId = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}\Z")]
_StreamArn = Annotated[
    str, Meta(pattern=r"^arn:[a-z-]+:kinesis:[a-z0-9-]*:[0-9]*:stream/[a-zA-Z0-9_.-]{1,128}\Z")
]

#: Years that an arrival is believed in.  Kinesis began in 2013; a case of before 1970 or after 9999 would
#: stand in no list, or stop every list that has to print it.
_EARLIEST_YEAR, _LATEST_YEAR = 2013, 2200


class Pointers(msgspec.Struct, frozen=True, kw_only=True):
    """Where the records of a given-up batch lie.

    With a parallelization factor above 1 the range also spans records of other lanes; `batch_size` counts
    those of the batch alone.
    """

    stream: str
    shard_id: str
    first: str  # sequence numbers, both inclusive
    last: str
    batch_size: int
    arrived_at_ms: int | None  # the first record; None when the message does not say it readably
    condition: str  # why Lambda gave up: RetryAttemptsExhausted, RecordAgeExceeded


def hours_left(pointers: Pointers, retention_hours: int, now_s: float) -> float | None:
    """Hours until the stream forgets the first of the records; negative once it has."""
    if pointers.arrived_at_ms is None:
        return None
    return round(pointers.arrived_at_ms / 3_600_000 + retention_hours - now_s / 3600, 2)


def parse(body: str) -> Pointers:
    """The pointers in a message's body.

    Raises RecordError with reason `not_an_invocation_record` and a sentence that says what is wrong.
    """
    try:
        record = _decode(body)
    except msgspec.ValidationError as exc:
        raise _not_one(f"not Lambda's record of a given-up Kinesis batch: {exc}") from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise _not_one(f"not JSON: {exc}") from exc
    batch = record.batch
    if int(batch.first) > int(batch.last):
        raise _not_one(f"the range ends at {batch.last}, before it starts at {batch.first}")
    return Pointers(
        stream=batch.stream_arn.rpartition("/")[2],
        shard_id=batch.shard_id,
        first=batch.first,
        last=batch.last,
        batch_size=batch.batch_size,
        arrived_at_ms=_epoch_ms(batch.arrived_at),
        condition=record.request.condition,
    )


class _Request(msgspec.Struct):
    condition: Annotated[str, Meta(max_length=128)] = ""


class _Batch(msgspec.Struct):
    shard_id: _ShardId = msgspec.field(name="shardId")
    first: _Number = msgspec.field(name="startSequenceNumber")
    last: _Number = msgspec.field(name="endSequenceNumber")
    batch_size: Annotated[int, Meta(ge=1)] = msgspec.field(name="batchSize")
    stream_arn: _StreamArn = msgspec.field(name="streamArn")
    # Only for telling how much time is left, so an unreadable one stops nothing.
    arrived_at: object = msgspec.field(name="approximateArrivalOfFirstRecord", default=None)


class _InvocationRecord(msgspec.Struct):
    batch: _Batch = msgspec.field(name="KinesisBatchInfo")
    request: _Request = msgspec.field(name="requestContext", default_factory=_Request)


_decode = msgspec.json.Decoder(_InvocationRecord).decode


def _epoch_ms(text: object) -> int | None:
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    if moment.tzinfo is None or not _EARLIEST_YEAR <= moment.year <= _LATEST_YEAR:
        return None
    return round(moment.timestamp() * 1000)


def _not_one(sentence: str) -> RecordError:
    return RecordError("not_an_invocation_record", sentence)
