"""What the environment says, read when first asked and never at import.

The only place that reads environment variables.  One variable names the stage; every name follows from
it (`lifecycle-<stage>-…`, the names infra/resources.yaml gives), and each can be set on its own:

    LIFECYCLE_STAGE               local            which stack this is
    LIFECYCLE_STREAM              lifecycle-<stage>-events
    LIFECYCLE_HISTORY_TABLE       lifecycle-<stage>-history
    LIFECYCLE_QUARANTINE_TABLE    lifecycle-<stage>-quarantine
    LIFECYCLE_ACCESS_TABLE        lifecycle-<stage>-access
    LIFECYCLE_DEAD_LETTER_QUEUE   lifecycle-<stage>-dead-letters
    LIFECYCLE_PARKING_QUEUE       lifecycle-<stage>-parking
    LIFECYCLE_PARTIAL_RESPONSES   off              `on` once the mapping listens to batch item failures
    LIFECYCLE_OPEN                no               `yes`: the API asks nobody for a token; stage `local` only
    LIFECYCLE_CORS_ORIGIN         none             whose scripts may call the API: an origin, or *

Three more are Lambda's own: AWS_LAMBDA_FUNCTION_MEMORY_SIZE, _X_AMZN_TRACE_ID and AWS_XRAY_DAEMON_ADDRESS.

Endpoints are never mentioned here: boto3 honours AWS_ENDPOINT_URL, so "local" is an environment.
"""

import os
import re
from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError

if TYPE_CHECKING:
    from chalice.app import CORSConfig

APP_NAME = "lifecycle"

#: The stage of one machine, which is never deployed.
LOCAL = "local"

_ORIGIN = re.compile(r"\*|https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?")
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,30}")


def stage() -> str:
    """The stage whose stream and tables are used.  Raises ConfigurationError for an unusable name."""
    name = os.environ.get("LIFECYCLE_STAGE") or LOCAL
    if _STAGE.fullmatch(name) is None:
        raise ConfigurationError(
            f"LIFECYCLE_STAGE: expected a lower-case letter, then up to 30 of a-z 0-9 -, got {name!r}"
        )
    return name


def stream_name() -> str:
    """The Kinesis stream that lifecycle events arrive on."""
    return _named("LIFECYCLE_STREAM", "events")


def history_table() -> str:
    """The DynamoDB table of events by product."""
    return _named("LIFECYCLE_HISTORY_TABLE", "history")


def quarantine_table() -> str:
    """The DynamoDB table of records set aside."""
    return _named("LIFECYCLE_QUARANTINE_TABLE", "quarantine")


def access_table() -> str:
    """The DynamoDB table of API tokens."""
    return _named("LIFECYCLE_ACCESS_TABLE", "access")


def dead_letter_queue() -> str:
    """The SQS queue of batches that Lambda gave up on."""
    return _named("LIFECYCLE_DEAD_LETTER_QUEUE", "dead-letters")


def parking_queue() -> str:
    """The SQS queue of dead letters that triage could not finish either."""
    return _named("LIFECYCLE_PARKING_QUEUE", "parking")


def partial_responses() -> bool:
    """Whether the event source mapping listens to reported batch item failures.

    Off unless said otherwise: a mapping that does not listen takes a report for success, and records
    would be lost.  Raises ConfigurationError for anything but `on` and `off`.
    """
    value = os.environ.get("LIFECYCLE_PARTIAL_RESPONSES") or "off"
    if value not in ("on", "off"):
        raise ConfigurationError(f"LIFECYCLE_PARTIAL_RESPONSES: expected on or off, got {value!r}")
    return value == "on"


def is_open() -> bool:
    """Whether the API asks nobody for a token.

    Raises ConfigurationError for anything but `yes` and `no`, and for `yes` at any stage but `local`.
    """
    value = os.environ.get("LIFECYCLE_OPEN") or "no"
    if value not in ("yes", "no"):
        raise ConfigurationError(f"LIFECYCLE_OPEN: expected yes or no, got {value!r}")
    if value == "yes" and stage() != LOCAL:
        raise ConfigurationError(
            f"LIFECYCLE_OPEN: yes is for the stage {LOCAL} only, this is {stage()}; remove it and make tokens"
        )
    return value == "yes"


def cors() -> "CORSConfig | bool":
    """Which other origin's scripts may call the API; False for none.

    Read at import, because API Gateway is told of it when the application is deployed.  Raises
    ConfigurationError for what is neither an origin nor `*`.
    """
    origin = os.environ.get("LIFECYCLE_CORS_ORIGIN")
    if not origin:
        return False
    if _ORIGIN.fullmatch(origin) is None:
        raise ConfigurationError(
            f"LIFECYCLE_CORS_ORIGIN: expected * or an origin such as https://portal.example, got {origin!r}"
        )
    from chalice.app import CORSConfig

    return CORSConfig(
        allow_origin=origin,
        allow_headers=["Authorization", "If-None-Match", "Idempotency-Key"],
        expose_headers=["ETag", "Link"],
        max_age=600,
    )


def memory_mb() -> int:
    """The memory that Lambda gives the function; what the deployed one has, where this is not Lambda."""
    value = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return int(value) if value.isdecimal() else 1024


def trace() -> str:
    """The invocation's trace header; empty where nothing is traced."""
    return os.environ.get("_X_AMZN_TRACE_ID") or ""


def trace_daemon() -> tuple[str, int] | None:
    """Where X-Ray's daemon listens, which Lambda gives as an address and a port."""
    host, _, port = (os.environ.get("AWS_XRAY_DAEMON_ADDRESS") or "").rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else None


def _named(variable: str, suffix: str) -> str:
    return os.environ.get(variable) or f"{APP_NAME}-{stage()}-{suffix}"
