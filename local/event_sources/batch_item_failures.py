"""The rules of the partial batch response: which records or messages of a batch an answer reports as failed.

Sources: Lambda developer guide, "Reporting batch item failures" for Kinesis and for SQS.  Where the guide is
silent, what was recorded from AWS: an identifier that is not in the batch fails the whole batch, and an
empty list is success.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from local.sandbox.outcome import Ending, Outcome


class BatchFailed(NamedTuple):
    """The whole batch counts as failed."""


class Failures(NamedTuple):
    """The batch's items that failed; none means success."""

    identifiers: Sequence[str]


def interpret(payload: bytes, items: Collection[str], *, reported: bool) -> BatchFailed | Failures:
    """Return which of the batch's `items` an answer's payload reports as failed.

    `reported` says whether the mapping has ReportBatchItemFailures; without it the answer is ignored and the
    batch has succeeded.  An answer without `batchItemFailures` is success too, whatever else it holds: no
    failure rule of the guide applies to it.
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
    """Return the lowest of the reported sequence numbers: where the shard resumes."""
    return min(failures.identifiers, key=int)


def succeeded_messages(outcome: Outcome, identifiers: Sequence[str], *, reported: bool) -> list[str]:
    """Return the messages of a batch that the function succeeded on, so that they may be deleted."""
    if outcome.ending is not Ending.OK:
        return []
    verdict = interpret(outcome.payload, identifiers, reported=reported)
    if isinstance(verdict, BatchFailed):
        return []
    return [each for each in identifiers if each not in verdict.identifiers]
