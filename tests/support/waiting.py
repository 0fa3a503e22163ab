"""Waiting for processes and endpoints: as long as a busy machine needs, and no longer than that."""

import time
from collections.abc import Callable
from pathlib import Path

#: Longer than any machine needs; a test that waits so long has failed.
PATIENCE_S = 300.0


def eventually(claim: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Whether the claim comes true in time."""
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def pass_time(seconds: float) -> None:
    """Return when this much more time has passed: for what must not happen meanwhile."""
    until = time.monotonic() + seconds
    assert eventually(lambda: time.monotonic() > until)


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that another process appends to; one that is not ended may be half written."""
    return path.read_text().rpartition("\n")[0].splitlines()
