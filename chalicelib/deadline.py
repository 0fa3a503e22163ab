"""Until when an invocation may go on trying, and how long it pauses between attempts.

botocore's own retries are switched off for writes (`wiring.py`), because only this loop knows how much time
the invocation has left.
"""

import random
import time
from collections.abc import Callable, Iterator

#: Kept back at the end of an invocation: one attempt that has begun may take connect and read timeout
#: (wiring.py), and the report of what is unfinished still has to be returned.
RESERVE_S = 6.0

#: Never kept back more than this share of the time given, so that a short timeout is not all reserve.
RESERVE_SHARE = 0.4

#: Of it, for the report alone: what has not been answered by then is unfinished.
REPORT_S = 1.0
REPORT_SHARE = 0.1

FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 3.0


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
            pause = self._uniform(0, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**attempt))
            self._sleep(max(0.0, min(pause, self.remaining_s())))
            attempt = min(attempt + 1, 16)
