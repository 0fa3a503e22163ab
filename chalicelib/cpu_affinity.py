"""Threads of one interpreter, kept on one core.

Only one thread of a process runs Python at a time.  Where they are spread over cores, handing the
interpreter's lock over means waking another core and filling its caches, again at every system call of a
request (docs/performance.md).  Each process draws its core, so that two busy ones may meet on one; in Lambda
there is only one.  Where the operating system has no such call, or forbids it, threads go where they like.
"""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Cores a thread may run on; empty where that cannot be asked.
Cores = frozenset[int]


def drawn() -> Cores:
    """One of the cores that the calling thread may run on, for threads to stay on together."""
    available = sorted(_now())
    # Not by the process's number: in a container that is 1 for everybody.
    return frozenset({random.choice(available)}) if available else frozenset()


def stay(cores: Cores) -> None:
    """Keep the calling thread, and those it starts from now on, on these cores."""
    if sys.platform == "linux" and cores:
        with suppress(OSError):
            os.sched_setaffinity(0, cores)


@contextmanager
def staying(cores: Cores | None = None) -> Iterator[None]:
    """Keep the calling thread on these cores, or on one, for a while; threads it starts then stay there."""
    before = _now()
    stay(drawn() if cores is None else cores)
    try:
        yield
    finally:
        stay(before)


def _now() -> Cores:
    if sys.platform == "linux":
        with suppress(OSError):
            return frozenset(os.sched_getaffinity(0))
    return frozenset()
