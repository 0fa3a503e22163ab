"""Everything the lifecycle history raises on purpose.

    LifecycleError
    ├── ConfigurationError          the operator: a setting is missing or unusable
    ├── RecordError                 the producer: this record fails the same way every time; quarantined
    │   ├── InvalidAggregateError
    │   ├── InvalidEventError
    │   └── RefusedItemError
    ├── RequestError                the API's caller: 4xx, never retried by us
    │   ├── InvalidRequestError
    │   ├── NotAcceptableError
    │   ├── NotAllowedError
    │   ├── NotAuthenticatedError
    │   ├── ProductNotFoundError
    │   ├── TooLargeError
    │   └── UnsupportedBodyError
    ├── RereadError                 nobody: what triage looks for is not on the stream; recorded as expired
    │   ├── GoneError
    │   └── RefusedNumberError
    ├── StorageError                time: DynamoDB or Kinesis refused the call or did not answer; waited out
    │   ├── AccessUnavailableError
    │   ├── ThrottledError
    │   └── UnavailableError
    └── UnfinishedBatchError        Lambda: by delivering the batch again

The branch says who acts.  botocore's errors stop at `tables/errors.py`; a bug of ours has no class here,
so that it escapes loudly.
"""

#: Error codes with which Kinesis and DynamoDB refuse a request that comes too soon.
THROTTLING_CODES = frozenset(
    {
        "KMSThrottlingException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
    }
)


class LifecycleError(Exception):
    """Base class: `except LifecycleError` catches all of ours and none of theirs."""


class ConfigurationError(LifecycleError):
    """A setting is missing or unusable.  The message names it."""


class RecordError(LifecycleError):
    """A stream record that fails the same way on every delivery: a poison pill.

    `reason` is a short code to count and filter by, the message a sentence that says what and where.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class InvalidAggregateError(RecordError):
    """A KPL aggregate, or one of its records, is not what the format says."""

    def __init__(self, sentence: str) -> None:
        super().__init__("invalid_aggregate", sentence)


class InvalidEventError(RecordError):
    """The record's data is not a lifecycle event."""


class RefusedItemError(RecordError):
    """DynamoDB refuses this item for what it is, so it will refuse it every time."""


class RequestError(LifecycleError):
    """The API's caller asked for something we cannot give."""


class InvalidRequestError(RequestError):
    """A serial, parameter or cursor is malformed or out of range."""


class NotAcceptableError(RequestError):
    """The Accept header names nothing that this address answers with."""


class NotAuthenticatedError(RequestError):
    """The request carries no token, and this answer needs one."""


class NotAllowedError(RequestError):
    """The request's token is wrong, has expired, or does not reach so far."""


class ProductNotFoundError(RequestError):
    """Nothing has been recorded about this product."""

    def __init__(self, serial: str) -> None:
        super().__init__(f"no history for product {serial!r}")
        self.serial = serial


class TooLargeError(RequestError):
    """The request's body is larger than we take, or holds too many events."""


class UnsupportedBodyError(RequestError):
    """The request's body is nothing that this address takes."""


class RereadError(LifecycleError):
    """What a dead letter points at cannot be read from the stream again."""


class GoneError(RereadError):
    """The stream or the shard does not exist (any more)."""


class RefusedNumberError(RereadError):
    """Kinesis does not take this sequence number for a place in this shard."""


class StorageError(LifecycleError):
    """DynamoDB or Kinesis refused the call or did not answer, through no fault of the record."""

    def gist(self) -> str:
        """What happened without the service's own words: those name accounts, roles and addresses."""
        return str(self).partition(":")[0]


class ThrottledError(StorageError):
    """The service asked us to slow down."""


class UnavailableError(StorageError):
    """The service is down, denies access, or the table or its key is missing."""


class AccessUnavailableError(StorageError):
    """The access table does not answer, so that it is not known who asks."""


class UnfinishedBatchError(LifecycleError):
    """Time ran out before every record had its place, and the mapping does not listen to reports."""
