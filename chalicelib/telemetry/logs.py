"""Structured logs of the functions: one line for a batch, a dead letter or a request, its metrics embedded.

Facts, counts and places on the stream go out, and whose record or product it was; payloads, metadata and
tokens never do.  `message` is for people and may change; programs and saved queries go by `kind`:

    batch          a batch of Kinesis records; `resume_at` where Lambda delivers it again
    dead_letter    a message of the dead-letter queue; `finished` says whether it comes back
    triage_error   a message on which triage raised, with the traceback
    request        an answer of the API
    setting        a setting that is risky outside a laptop
"""

import time
from collections.abc import Sequence
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from chalicelib import settings
from chalicelib.domain.lifecycle import KINDS
from chalicelib.telemetry import metrics, tracing

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from chalice.app import Request

    from chalicelib.ingest.batch import Outcome
    from chalicelib.triage.report import Report


#: Quarantined records that a line names; a broken producer must not make lines of a megabyte.
MAX_NAMED = 10

# Why the answer under way is our fault: known where the error is caught, told with the request's other facts.
_because: ContextVar[str] = ContextVar("because", default="")


@cache
def logger() -> "Logger":
    """The structured logger, built when first used: importing Powertools costs a cold start 50 ms."""
    from aws_lambda_powertools import Logger

    return Logger(service=f"{settings.APP_NAME}-{settings.stage()}", level="INFO")


def batch_done(
    event: dict[str, Any], outcome: "Outcome", seconds: float, request_id: str, now: float | None = None
) -> None:
    """One line for a batch of Kinesis records: where it lies, when it came, and what became of it."""
    records = event["Records"]
    arrivals = [record["kinesis"]["approximateArrivalTimestamp"] for record in records]
    now = time.time() if now is None else now
    reasons = _by_reason(outcome)
    facts: dict[str, Any] = {
        "kind": "batch",
        "request_id": request_id,
        **(_place(records, arrivals, now) if records else {}),
        "records": outcome.records,
        "stored": outcome.stored,
        "duplicates": outcome.duplicates,
        "quarantined": reasons,
        "unfinished": len(outcome.unfinished),
        "throttled_requests": outcome.throttled_requests,
        "seconds": round(seconds, 3),
    }
    counted: dict[str, metrics.Values] = {
        **metrics.stored(outcome.types),
        **metrics.quarantined(reasons),
        "Duplicates": outcome.duplicates,
        "ThrottledRequests": outcome.throttled_requests,
        # One failure is reported for however many records it makes Lambda deliver again.
        "ItemFailures": 1 if outcome.unfinished else 0,
    }
    if outcome.stored and not outcome.unfinished:
        counted["ArrivalToStored"] = metrics.sample([(now - arrival) * 1000 for arrival in arrivals])
    facts |= metrics.embedded(counted)
    if unknown := {type_: count for type_, count in outcome.types.items() if type_ not in KINDS}:
        facts["unknown_types"] = dict(sorted(unknown.items(), key=lambda item: -item[1])[:MAX_NAMED])
    if outcome.quarantined:
        facts["quarantined_records"] = [
            {"id": record.id, "partition_key": record.partition_key, "reason": error.reason}
            for record, error in outcome.quarantined[:MAX_NAMED]
        ]
    tracing.annotate(
        "ingest",
        seconds,
        {
            "shard_id": facts.get("shard_id", ""),
            "records": outcome.records,
            "quarantined": len(outcome.quarantined),
            "unfinished": len(outcome.unfinished),
        },
    )
    resume = outcome.earliest_unfinished()
    if resume is None:
        logger().info("batch done", extra=facts)
    else:
        facts["resume_at"] = resume.sequence_number
        facts["because"] = str(outcome.last_error or "time ran out")
        logger().warning("batch unfinished; Lambda delivers it again from resume_at", extra=facts)


def dead_letter_triaged(report: "Report", request_id: str) -> None:
    """One line for a dead letter: where its records lie, how many got which verdict, how long they last."""
    if report.bug is not None:
        logger().error(
            "triage failed; the dead letter goes back to the queue",
            extra={"kind": "triage_error", "request_id": request_id, "message_id": report.message_id},
            exc_info=report.bug,
        )
        return
    pointers, tally = report.pointers, report.tally
    facts: dict[str, Any] = {
        "kind": "dead_letter",
        "finished": report.finished,
        "request_id": request_id,
        "message_id": report.message_id,
        "records": tally.read,
        "stored": tally.stored,
        "quarantined": tally.quarantined,
        "hours_left": report.hours_left,
        "seconds": round(report.seconds, 3),
    }
    expired = 0
    if pointers is not None:
        expired = facts["expired"] = tally.expired(pointers)
        facts |= {
            "stream": pointers.stream,
            "shard_id": pointers.shard_id,
            "first": pointers.first,
            "last": pointers.last,
            "batch_size": pointers.batch_size,
            "condition": pointers.condition,
        }
    # Only what is finished is counted: an unfinished letter comes back with what it had.
    if report.finished:
        facts |= metrics.embedded(
            {**metrics.quarantined(tally.quarantined), "TriageStored": tally.stored, "Expired": expired}
        )
    if not report.finished:
        facts |= {"done_to": tally.done_to, "because": report.because}
        logger().warning("dead letter unfinished; it goes back to the queue", extra=facts)
    elif expired:
        logger().error("dead letter triaged; the stream no longer held all of its records", extra=facts)
    else:
        logger().info("dead letter triaged", extra=facts)


@cache
def open_to_everybody() -> None:
    """One line a process that the API asks nobody for a token: meant on a laptop, a slip anywhere else."""
    logger().warning(
        "everybody may read every product's history and report events: LIFECYCLE_OPEN is yes",
        extra={"kind": "setting"},
    )


def because(exc: Exception) -> None:
    """Remember for the request's line what its caller is not told: why there is no answer."""
    _because.set(str(exc))


def answered(request: "Request", status: int, caller: str, seconds: float) -> None:
    """One line for an answer of the API: who asked what, by the token's name, and what they got.

    `request_id` is API Gateway's, which callers see as x-amzn-requestid; `lambda_request_id` leads
    to Lambda's own lines and to the trace.
    """
    parameters = request.uri_params or {}
    facts = {
        "kind": "request",
        "request_id": request.context.get("requestId", ""),
        "lambda_request_id": getattr(request.lambda_context, "aws_request_id", ""),
        "token": caller,
        "method": request.method,
        "route": request.context.get("resourcePath", ""),
        "serial": parameters.get("serial", "")[:200],
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if why := _because.get():
        facts["because"] = why
        _because.set("")
    tracing.annotate("answer", seconds, {"status": status, "token": caller})
    if status >= 500:
        logger().error("request", extra=facts)
    else:
        logger().info("request", extra=facts)


def _place(records: Sequence[Any], arrivals: Sequence[float], now: float) -> dict[str, Any]:
    """Where a batch lies on the stream, and when it came."""
    return {
        "shard_id": records[0]["eventID"].partition(":")[0],
        "first": records[0]["kinesis"]["sequenceNumber"],
        "last": records[-1]["kinesis"]["sequenceNumber"],
        "arrived_first": round(min(arrivals) * 1000),
        "arrived_last": round(max(arrivals) * 1000),
        "oldest_ms": round((now - min(arrivals)) * 1000),
    }


def _by_reason(outcome: "Outcome") -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, error in outcome.quarantined:
        counts[error.reason] = counts.get(error.reason, 0) + 1
    return counts
