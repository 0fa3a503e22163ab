"""Reading a shard again, on purpose: a range of sequence numbers, or everything since a moment.

The only place that knows Kinesis's error codes and how its pages end.  An empty page is not the end of a
range; an iterator lives five minutes; a shard allows five reads a second, which the event source mapping
needs too.

What the stream no longer holds has to be found out, because Kinesis does not say it.  For a start that
retention has trimmed, three answers have been reported: an iterator at the oldest record
(influxdata/telegraf #19505), InvalidArgumentException (harlow/kinesis-consumer #175), and empty pages without
end, as far behind as retention reaches (harlow/kinesis-consumer #125).  So a range is always read from a
record that must be there: its first one, or the last one already done.  If something else comes first, what
lay before it is gone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError

from chalicelib.deadline import Deadline
from chalicelib.errors import (
    THROTTLING_CODES,
    GoneError,
    LifecycleError,
    RefusedNumberError,
    StorageError,
    ThrottledError,
    UnavailableError,
)

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient
    from mypy_boto3_kinesis.type_defs import GetRecordsOutputTypeDef, RecordTypeDef

#: Between two reads of one shard.  It allows five a second (KDS developer guide, "Quotas and limits"), and
#: the event source mapping reads it too.
PAUSE_S = 0.5

#: The largest and the smallest page asked for.  A range of one record must not pull 10 MiB out of a busy
#: shard: after such an answer Kinesis refuses everybody's reads of that shard for five seconds.
MAX_PAGE, MIN_PAGE = 1000, 100

#: How near to its whole retention an empty page may lie behind before it means a trimmed start.
_HORIZON_MARGIN_MS = 60_000


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Records that the stream does not hold any more.

    They lie from `first`, itself included or not, to just before `before`, or through the range's end when
    that is None.  When `first` is not included, it is possible that nothing lay between the two.
    """

    first: str
    includes_first: bool
    before: str | None
    why: str


class Shard:
    """One shard of a stream, read patiently."""

    def __init__(
        self,
        kinesis: "KinesisClient",
        stream: str,
        shard_id: str,
        patience: Callable[[], Deadline],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`patience` gives the deadline of the next call: a shared one, or a fresh one each time."""
        self._kinesis = kinesis
        self._patience = patience
        self._sleep = sleep
        self._has_read = False
        self.stream = stream
        self.shard_id = shard_id

    def iterator(self, type_: str, **start: Any) -> str:
        """A shard iterator of a type, with its StartingSequenceNumber or Timestamp.

        Raises GoneError, RefusedNumberError, or StorageError when time runs out first.
        """
        answer = self._patiently(
            lambda: self._kinesis.get_shard_iterator(
                StreamName=self.stream,
                ShardId=self.shard_id,
                ShardIteratorType=type_,  # type: ignore[arg-type]  # the stubs want a literal
                **start,
            )
        )
        iterator: str = answer["ShardIterator"]
        return iterator

    def read(self, iterator: str, limit: int) -> "GetRecordsOutputTypeDef | None":
        """One page; None when the iterator has expired.  Raises GoneError or StorageError."""
        if self._has_read:
            self._sleep(PAUSE_S)
        self._has_read = True
        try:
            answer: GetRecordsOutputTypeDef = self._patiently(
                lambda: self._kinesis.get_records(ShardIterator=iterator, Limit=limit)
            )
        except _ExpiredIteratorError:
            return None
        return answer

    def _patiently(self, call: Callable[[], Any]) -> Any:
        last: StorageError = ThrottledError("no time left to read the stream")
        for _ in self._patience().attempts():
            try:
                return call()
            except ClientError as exc:
                error = _as_ours(exc)
                if not isinstance(error, StorageError):
                    raise error from exc
                last = error
            except (ConnectionError, HTTPClientError, ResponseParserError) as exc:
                last = UnavailableError(f"Kinesis did not answer: {exc}")
        raise last


def retention_hours(kinesis: "KinesisClient", stream: str, deadline: Deadline) -> int:
    """How long the stream keeps a record.  Raises GoneError, or StorageError when time runs out first."""
    shard = Shard(kinesis, stream, "", lambda: deadline)
    answer = shard._patiently(lambda: kinesis.describe_stream_summary(StreamName=stream))
    hours: int = answer["StreamDescriptionSummary"]["RetentionPeriodHours"]
    return hours


def stretch(
    shard: Shard, first: str, last: str, *, done_to: str | None, page: int, retention_ms: int
) -> Iterator["Gap | Sequence[RecordTypeDef]"]:
    """The records from `first` to `last`, both inclusive, page by page, and the gaps between them.

    With `done_to`, only those after it.  Raises StorageError when time runs out; what has been given until
    then is complete.
    """
    reading = _Reading(first, last, done_to)
    if reading.is_over():
        return
    limit = max(MIN_PAGE, min(page, MAX_PAGE))
    at_horizon = False
    why = "retention has taken them"
    try:
        iterator: str | None
        iterator, refusal = _start_at(shard, reading.anchor)
        while iterator is not None:
            why = refusal or why
            answer = shard.read(iterator, limit)
            if answer is None:
                iterator, refusal = _start_at(shard, reading.anchor)
                reading.confirmed = at_horizon = False
                continue
            before, fresh = reading.sift(answer["Records"])
            if before is not None:
                yield Gap(first=before[0], includes_first=before[1], before=before[2], why=why)
            if fresh:
                yield fresh
            if reading.is_over():
                return
            if reading.has_passed or (not answer["Records"] and answer["MillisBehindLatest"] == 0):
                break
            iterator = answer.get("NextShardIterator")  # null at the end of a closed shard
            behind_ms = answer["MillisBehindLatest"]
            if not answer["Records"] and not at_horizon and behind_ms >= retention_ms - _HORIZON_MARGIN_MS:
                iterator, at_horizon = shard.iterator("TRIM_HORIZON"), True
    except GoneError as exc:
        why = str(exc)
    yield Gap(first=reading.anchor, includes_first=reading.is_unread, before=None, why=why)


def since(
    shard: Shard, timestamp: float, until_ms: float, page: int = MAX_PAGE
) -> Iterator["Sequence[RecordTypeDef]"]:
    """The shard's records that arrived from `timestamp` (epoch seconds) to about `until_ms`, page by page.

    Ends at the tip of the shard, at its end, or at the first page that begins after `until_ms`.  Raises
    GoneError or StorageError.
    """
    iterator: str | None = shard.iterator("AT_TIMESTAMP", Timestamp=timestamp)
    last: str | None = None
    while iterator is not None:
        answer = shard.read(iterator, page)
        if answer is None and last is None:
            iterator = shard.iterator("AT_TIMESTAMP", Timestamp=timestamp)
            continue
        if answer is None:
            iterator = shard.iterator("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=last)
            continue
        read = answer["Records"]
        if read:
            if read[0]["ApproximateArrivalTimestamp"].timestamp() * 1000 > until_ms:
                return
            last = read[-1]["SequenceNumber"]
            yield read
        elif answer["MillisBehindLatest"] == 0:
            return
        iterator = answer.get("NextShardIterator")


def _start_at(shard: Shard, number: str) -> tuple[str, str | None]:
    """An iterator that misses nothing from this number on, and what Kinesis had against the number."""
    try:
        return shard.iterator("AT_SEQUENCE_NUMBER", StartingSequenceNumber=number), None
    except RefusedNumberError as exc:
        # Trimmed, or never of this shard: reading from the oldest record tells, since numbers are compared.
        return shard.iterator("TRIM_HORIZON"), str(exc)


class _Reading:
    """How far a range has been read.

    `anchor` is the record that must come first in the next answer: unread it is the range's first, else the
    last one given.  `confirmed` once the shard has shown it, or something after it.
    """

    def __init__(self, first: str, last: str, done_to: str | None) -> None:
        self.anchor = first if done_to is None else done_to
        self.is_unread = done_to is None
        self.confirmed = False
        self.has_passed = False
        self._last = int(last)

    def is_over(self) -> bool:
        """Whether the last record of the range has been given."""
        return not self.is_unread and int(self.anchor) >= self._last

    def sift(
        self, answered: Sequence["RecordTypeDef"]
    ) -> "tuple[tuple[str, bool, str] | None, Sequence[RecordTypeDef]]":
        """What of this page belongs to the range and is new, and the gap before it, if there is one."""
        gap = None
        fresh = []
        for record in answered:
            number, anchor = int(record["SequenceNumber"]), int(self.anchor)
            if number < anchor:
                continue  # reading from the trim horizon
            if number > self._last:
                self.has_passed = True
                break
            if number > anchor and not self.confirmed:
                gap = (self.anchor, self.is_unread, record["SequenceNumber"])
            self.confirmed = True
            if number > anchor or self.is_unread:
                fresh.append(record)
            self.anchor, self.is_unread = record["SequenceNumber"], False
        return gap, fresh


class _ExpiredIteratorError(LifecycleError):
    """The shard iterator is older than five minutes."""


def _as_ours(exc: ClientError) -> LifecycleError:
    code = exc.response["Error"]["Code"]
    said = f"Kinesis said {code}: {exc.response['Error'].get('Message', '')}"
    if code == "ResourceNotFoundException":
        return GoneError(said)
    if code == "ExpiredIteratorException":
        return _ExpiredIteratorError(said)
    if code == "InvalidArgumentException":
        return RefusedNumberError(said)
    return ThrottledError(said) if code in THROTTLING_CODES else UnavailableError(said)
