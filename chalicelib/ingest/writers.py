"""The threads that requests in flight run on, and what becomes of a request that outlasts its invocation.

A client's timeout is between two pieces of an answer, so one that drips takes as long as it likes, and
nothing can end it from outside.  The invocation ends without it: it keeps its thread, and what comes later
gets new ones, as long as not too many are left behind.  What it may still write then does no harm, because
an event's key is its content.
"""

from collections.abc import Callable, Iterable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotBackError  # the built-in one since Python 3.11
from typing import Any, TypeVar

from chalicelib import cpu_affinity

Answer = TypeVar("Answer")

#: Calls that may be left behind, each with its thread and its socket: a sandbox has 1,024 of both (Lambda
#: developer guide, "Lambda quotas").  Beyond that no call is made until some of them have come back.
MAX_ABANDONED_CALLS = 256


class Writers:
    """Up to `count` calls at once, each on a thread; safe to use from several."""

    def __init__(self, count: int, cores: cpu_affinity.Cores = frozenset()) -> None:
        """Threads start when there is something to do, and stay on these cores, or where they like."""
        self._count = count
        self._cores = cores
        self._late: list[Future[Any]] = []
        self._threads = self._new_threads()

    def submit(self, call: Callable[..., Answer], *args: Any) -> "Future[Answer]":
        """Have a thread make this call as soon as one is free."""
        if len(self._late) >= MAX_ABANDONED_CALLS:
            self._late = [late for late in self._late if late.running()]
            if len(self._late) >= MAX_ABANDONED_CALLS:
                return Future()  # never made, and so never back
        return self._threads.submit(call, *args)

    def wait(self, calls: Iterable["Future[Any]"], seconds: float) -> None:
        """Wait for calls, so long at most; the threads of those that have not come back are left to them."""
        late = futures.wait(calls, max(0.0, seconds)).not_done
        self._late = [call for call in (*self._late, *late) if call.running()]
        if late:
            self._threads = self._new_threads()  # the old ones end with their last call

    def _new_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(
            self._count, thread_name_prefix="write", initializer=cpu_affinity.stay, initargs=(self._cores,)
        )


def completed_within(call: "Future[Any]", seconds: float) -> bool:
    """Whether a call has come back, waited for so long at most."""
    try:
        call.exception(max(0.0, seconds))  # waits; what the call itself has raised is returned
    except NotBackError:
        return False
    return True
