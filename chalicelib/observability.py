"""What the functions tell: one structured line a batch.

The only place that logs.  Facts, counts and places on the stream go out; payloads, metadata and tokens
never do.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from chalicelib import settings

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from chalicelib.ingest import Outcome


@cache
def logger() -> "Logger":
    """The structured logger, built when first used: importing Powertools costs a cold start 50 ms."""
    from aws_lambda_powertools import Logger

    return Logger(service=f"{settings.APP_NAME}-{settings.stage()}", level="INFO")


def batch_done(event: dict[str, Any], outcome: "Outcome", seconds: float, request_id: str) -> None:
    """One line for a batch of Kinesis records: where it lies, and what became of it."""
    records = event["Records"]
    facts: dict[str, Any] = {
        "request_id": request_id,
        "shard_id": records[0]["eventID"].partition(":")[0],
        "first": records[0]["kinesis"]["sequenceNumber"],
        "last": records[-1]["kinesis"]["sequenceNumber"],
        "records": outcome.records,
        "stored": outcome.stored,
        "duplicates": outcome.duplicates,
        "quarantined": _by_reason(outcome),
        "unfinished": len(outcome.unfinished),
        "throttled_requests": outcome.throttled_requests,
        "seconds": round(seconds, 3),
    }
    resume = outcome.earliest_unfinished()
    if resume is None:
        logger().info("batch done", extra=facts)
    else:
        facts["resume_at"] = resume.sequence_number
        facts["because"] = str(outcome.last_error or "time ran out")
        logger().warning("batch unfinished; Lambda delivers it again from resume_at", extra=facts)


def _by_reason(outcome: "Outcome") -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, error in outcome.quarantined:
        counts[error.reason] = counts.get(error.reason, 0) + 1
    return counts
