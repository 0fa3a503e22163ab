"""Patience with DynamoDB: deadlines, backoff, and its errors translated into ours.

The only place that knows DynamoDB's error codes.  botocore's own retries are switched off for writes
(`wiring.py`), because only this loop knows how long the invocation still has.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.parsers import ResponseParserError

from chalicelib.errors import RefusedItemError, StorageError, ThrottledError, UnavailableError

#: Kept back at the end of an invocation: one attempt that has begun may take connect and read timeout
#: (wiring.py), and the report of what is unfinished still has to be returned.
RESERVE_S = 6.0

#: Never kept back more than this share of the time given, so that a short timeout is not all reserve.
RESERVE_SHARE = 0.4

#: Of it, for the report alone: what has not been answered by then is unfinished.
REPORT_S = 1.0
REPORT_SHARE = 0.1

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 3.0

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
}


class Deadline:
    """Until when an invocation may go on trying.  Safe to share between threads."""

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        given_until = clock() + seconds
        self._ends_at = given_until - min(RESERVE_S, seconds * RESERVE_SHARE)
        self._report_at = given_until - min(REPORT_S, seconds * REPORT_SHARE)

    def remaining_s(self) -> float:
        """Seconds left for new attempts; negative once there are none."""
        return self._ends_at - self._clock()

    def patience_s(self) -> float:
        """Seconds left to wait for attempts that have begun; negative once the report is due."""
        return self._report_at - self._clock()

    def attempts(self) -> Iterator[int]:
        """Count attempts from 0, pausing between them (backoff with full jitter), until time is up.

        Yields nothing when time is up already.  Full jitter: AWS Architecture Blog, "Exponential Backoff
        And Jitter".
        """
        attempt = 0
        while self.remaining_s() > 0:
            yield attempt
            pause = self._uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))
            self._sleep(max(0.0, min(pause, self.remaining_s())))
            attempt = min(attempt + 1, 16)


@contextmanager
def translated() -> Iterator[None]:
    """Turn botocore's errors into ours.

    RefusedItemError: DynamoDB refuses the item for what it is.  ThrottledError: too fast.
    UnavailableError: everything else that is not the item's fault, a wrong table included, and an answer
    that somebody on the way has put in DynamoDB's place.
    Anything that is neither (a parameter of the wrong type, say) is a bug and passes unchanged.
    """
    try:
        yield
    except ClientError as exc:
        raise _as_ours(exc) from exc
    except (ConnectionError, HTTPClientError, NoCredentialsError, CredentialRetrievalError) as exc:
        raise UnavailableError(f"DynamoDB did not answer: {exc}") from exc
    except (msgspec.DecodeError, ResponseParserError) as exc:
        raise UnavailableError(f"DynamoDB's answer is none of its own: {exc}") from exc


def _as_ours(exc: ClientError) -> StorageError | RefusedItemError:
    code = exc.response["Error"]["Code"]
    message = exc.response["Error"].get("Message", "")
    said = f"DynamoDB said {code}: {message}"
    if code in _THROTTLED:
        return ThrottledError(said)
    if code == "ValidationException" and not _is_about_the_table(message):
        return RefusedItemError("refused", said)
    return UnavailableError(said)


def _is_about_the_table(message: str) -> bool:
    """Whether a ValidationException complains of the table's keys.

    A table with other keys than ours refuses every item; taking that for the items' fault would empty
    the stream into quarantine.
    """
    return "key element" in message or "Missing the key" in message or "Type mismatch for key" in message
