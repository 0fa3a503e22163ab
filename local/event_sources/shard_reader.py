"""One shard read from a position on: iterators, pages, throttling, the shard's end.

Calls GetShardIterator and GetRecords for the local mappings.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import THROTTLING_CODES

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import RecordTypeDef


#: Where reading begins, as parameters of GetShardIterator.
Start = Mapping[str, Any]

OLDEST: Start = {"ShardIteratorType": "TRIM_HORIZON"}
NEWEST: Start = {"ShardIteratorType": "LATEST"}


def after(sequence_number: str) -> Start:
    """Begin just behind this record."""
    return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": sequence_number}


def at_time(epoch_s: float) -> Start:
    """Begin with the first record that arrived then or later."""
    return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": datetime.fromtimestamp(epoch_s, timezone.utc)}


class ReadResult(NamedTuple):
    """What one read returned."""

    records: Sequence["RecordTypeDef"]
    is_tip: bool  # there was no record, and nothing is behind for now
    is_end: bool  # the shard is closed and read to its end


class ReadLaterError(Exception):
    """This read failed and the next one may succeed.  The message says why."""


class ShardGoneError(Exception):
    """The stream does not have this shard any more, or does not exist itself."""


class ShardReader:
    """Reads one shard in order, never skipping: a lost iterator is replaced behind the last record read."""

    def __init__(self, kinesis: "KinesisClient", stream: str, shard_id: str, start: Start) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._shard_id = shard_id
        self._start = start
        self._iterator: str | None = None

    def open(self, now: float) -> None:
        """Obtain the first iterator, so that LATEST means this moment.  Raises as `read` does."""
        try:
            answer = self._kinesis.get_shard_iterator(
                StreamName=self._stream, ShardId=self._shard_id, **self._start
            )
        except (ClientError, BotoCoreError) as exc:
            raise _translated(exc) from exc
        self._iterator = answer["ShardIterator"]
        if self._start is NEWEST:
            # Should this iterator be lost before anything was read, a new LATEST would skip records.
            self._start = at_time(now)

    def read(self, limit: int, now: float) -> ReadResult:
        """Return the next records, at most `limit`.  Raises ReadLaterError or ShardGoneError.

        Iterators last five minutes; an expired one is replaced at once.
        """
        if self._iterator is None:
            self.open(now)
        try:
            answer = self._kinesis.get_records(ShardIterator=self._iterator or "", Limit=limit)
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in THROTTLING_CODES:
                self._iterator = None
            if exc.response["Error"]["Code"] == "ExpiredIteratorException":
                return ReadResult((), is_tip=False, is_end=False)
            raise _translated(exc) from exc
        except BotoCoreError as exc:
            raise _translated(exc) from exc
        records = answer["Records"]
        if records:
            self._start = after(records[-1]["SequenceNumber"])
        self._iterator = answer.get("NextShardIterator")
        return ReadResult(
            records,
            is_tip=not records and not answer.get("MillisBehindLatest"),
            is_end=self._iterator is None,
        )


def _translated(exc: ClientError | BotoCoreError) -> Exception:
    if isinstance(exc, ClientError) and exc.response["Error"]["Code"] == "ResourceNotFoundException":
        return ShardGoneError(exc.response["Error"].get("Message", ""))
    return ReadLaterError(str(exc))
