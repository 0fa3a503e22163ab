"""What an invocation came to, and what its answer means for the batch.

The only place that knows the partial batch response: Lambda developer guide, "Reporting batch item
failures" for Kinesis and for SQS, and what was recorded from AWS where the guide is silent (an identifier
that is not in the batch fails the whole batch; an empty list is success).
"""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec


class Ending(str, Enum):
    """How an invocation ended."""

    OK = "ok"  # the handler returned
    ERROR = "error"  # the handler raised, could not be imported, or returned what JSON cannot carry
    TIMEOUT = "timeout"  # killed when its time was up
    CRASH = "crash"  # its process exited or was killed
    UNDELIVERED = "undelivered"  # throttled, or a service error: the function never saw the batch


class Outcome(NamedTuple):
    """What Lambda answers to one invocation.

    `payload` is JSON: what the handler returned or, for a function error, `errorType`, `errorMessage` and
    where there is one `stackTrace`.
    """

    ending: Ending
    payload: bytes
    request_id: str

    @property
    def function_error(self) -> str | None:
        """`Unhandled` for a function error, as Lambda reports it; None when the handler returned."""
        return "Unhandled" if self.ending in (Ending.ERROR, Ending.TIMEOUT, Ending.CRASH) else None

    def error(self) -> dict[str, Any]:
        """The function error's fields; empty when the handler returned."""
        if self.function_error is None:
            return {}
        error: dict[str, Any] = msgspec.json.decode(self.payload)
        return error


class BatchFailed(NamedTuple):
    """The whole batch counts as failed."""


class Failures(NamedTuple):
    """The batch's items that failed; none means success."""

    identifiers: Sequence[str]


def interpret(payload: bytes, items: Collection[str], *, reported: bool) -> BatchFailed | Failures:
    """Which of the batch's `items` an answered payload reports as failed.

    `reported` says whether the mapping has ReportBatchItemFailures; without it the answer is ignored and the
    batch has succeeded.  An answer that has no `batchItemFailures` is success too, whatever it is: no failure
    rule of the guide applies to it.
    """
    if not reported or not payload:
        return Failures(())
    try:
        answer = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return BatchFailed()
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        return Failures(())
    if not isinstance(failures, list):
        return BatchFailed()
    identifiers: list[str] = []
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        if not isinstance(identifier, str) or identifier not in items:
            return BatchFailed()
        identifiers.append(identifier)
    return Failures(identifiers)


def checkpoint_of(failures: Failures) -> str:
    """The lowest of the reported sequence numbers: where the shard resumes."""
    return min(failures.identifiers, key=int)


def done_messages(outcome: Outcome, identifiers: Sequence[str], *, reported: bool) -> list[str]:
    """Which of a batch's messages the function is done with, so that they may be deleted."""
    if outcome.ending is not Ending.OK:
        return []
    verdict = interpret(outcome.payload, identifiers, reported=reported)
    if isinstance(verdict, BatchFailed):
        return []
    return [each for each in identifiers if each not in verdict.identifiers]
