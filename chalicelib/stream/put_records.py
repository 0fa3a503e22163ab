"""Events onto the stream with PutRecords, tried again until a deadline.

What was refused is sent again, and nothing else.  A request that got no answer may have been carried out: it
is sent again as a whole, and what arrives twice is stored once, because an event's key is its content.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from chalicelib.deadline import Deadline
from chalicelib.errors import THROTTLING_CODES, StorageError, ThrottledError, UnavailableError
from chalicelib.raw_call import RawCall

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

#: What Kinesis took in a request until 2025, and emulators still do; now it is twice that.
MAX_REQUEST_BYTES = 5 * 1024 * 1024

#: Records in a request (Kinesis API reference, PutRecords).
MAX_RECORDS = 500


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record to put, in PutRecords' JSON."""

    Data: bytes
    PartitionKey: str


class _Result(msgspec.Struct, gc=False):
    ErrorCode: str | None = None


class _Answer(msgspec.Struct):
    Records: list[_Result]


_answer = msgspec.json.Decoder(_Answer).decode


class RecordPutter:
    """One stream behind a low-level Kinesis client that does not retry by itself."""

    def __init__(self, client: "KinesisClient", stream: str) -> None:
        self._stream = stream
        self._put_records = RawCall(client, "PutRecords", {"Records": []})

    def put(self, records: Sequence[Record], deadline: Deadline) -> None:
        """Put every record, trying until the deadline.

        Raises StorageError when some may not be on the stream; then none is known not to be.
        """
        for request in _requests(records):
            self._put(request, deadline)

    def _put(self, pending: list[Record], deadline: Deadline) -> None:
        error: StorageError = ThrottledError("Kinesis was not asked: no time was left")
        for _ in deadline.attempts():
            try:
                results = _answer(self._put_records({"StreamName": self._stream, "Records": pending})).Records
            except ClientError as exc:
                error = _as_ours(exc)
                if not isinstance(error, ThrottledError) and _is_final(exc):
                    raise error from exc
                continue
            except (BotoCoreError, HTTPClientError, msgspec.DecodeError) as exc:
                error = UnavailableError(f"Kinesis did not answer: {exc}")
                continue
            refused = [result.ErrorCode for result in results if result.ErrorCode]
            pending = [
                record
                for record, result in zip(pending, results, strict=True)
                if result.ErrorCode is not None
            ]
            if not pending:
                return
            error = ThrottledError(f"Kinesis refused {len(refused)} records: {refused[0]}")
        raise error


def _requests(records: Sequence[Record]) -> Iterator[list[Record]]:
    request: list[Record] = []
    size = 0
    for record in records:
        length = len(record.Data) + len(record.PartitionKey)
        if request and (size + length > MAX_REQUEST_BYTES or len(request) == MAX_RECORDS):
            yield request
            request, size = [], 0
        request.append(record)
        size += length
    if request:
        yield request


def _as_ours(exc: ClientError) -> StorageError:
    code = exc.response["Error"]["Code"]
    said = f"Kinesis said {code}: {exc.response['Error'].get('Message', '')}"
    return ThrottledError(said) if code in THROTTLING_CODES else UnavailableError(said)


def _is_final(exc: ClientError) -> bool:
    """Whether the same request will be refused again: the stream is missing, or this may not write to it."""
    return int(exc.response["ResponseMetadata"]["HTTPStatusCode"]) < 500
