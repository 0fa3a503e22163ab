"""Threads of one interpreter, kept on one core.

Only one thread of a process runs Python at a time.  Where they are spread over cores, handing the
interpreter's lock over means waking another core and filling its caches, again at every system call of a
request: a seventh of what an event costs (docs/performance.md).  Processes go to different cores.  Where the
operating system has no such call, or forbids it, threads go where they like.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def stay() -> None:
    """Keep the calling thread, and those it starts from now on, on the core of this process."""
    if sys.platform == "linux":
        with suppress(OSError):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})


@contextmanager
def staying() -> Iterator[None]:
    """The same for a while, after which the calling thread may go where it could before.

    Threads started meanwhile stay.
    """
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    stay()
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)
