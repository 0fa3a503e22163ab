"""Waits until everything on the stream of a running pipeline has its place."""

import time
from collections.abc import Callable

from cli.output import to_stderr
from local.observers.counters import Stopwatch
from local.pipeline import Pipeline

#: Seconds without progress after which a pipeline is taken to stand still; longer than a function's time-out.
STALL_S = 150.0

#: Failed invocations that are worth a message: a function that cannot start fails over and over.
MANY_FAILURES = 20

_LOOK_S = 0.05


def wait_until_drained(
    running: Pipeline,
    watch: Stopwatch,
    progress: Callable[[int], None] = lambda outstanding: None,
    *,
    stall_s: float = STALL_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Return True once every accepted record has its place, False after `stall_s` without progress.

    `progress` is told how many records are outstanding.  Raises EndpointError when the endpoint is gone.
    """
    seen = None
    seen_at = clock()
    has_warned = False
    while True:
        running.endpoint.check()
        outstanding = watch.outstanding
        progress(outstanding)
        if outstanding == 0 and running.drained():
            return True
        counts = watch.counts()
        if counts.failed_invocations >= MANY_FAILURES and not has_warned:
            to_stderr(f"{counts.failed_invocations} invocations have failed; the functions' logs say why")
            has_warned = True
        if (outstanding, counts) != seen:
            seen, seen_at = (outstanding, counts), clock()
        elif clock() - seen_at > stall_s:
            return False
        sleep(_LOOK_S)
