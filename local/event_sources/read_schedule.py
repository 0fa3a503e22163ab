"""When a shard is read next: at a fixed interval, at once while records come, later when a read has failed.

Pure: the time is given, no clock is read.  One thread reads the shard; `ask` and `saw_tip` are safe to call
from others.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.event_sources.shard_reader import ReadResult

#: Seconds between two reads of an idle shard unless a mapping says otherwise.  Lambda reads once a second.
POLL_INTERVAL_S = 0.1

#: Pauses after failed reads: the first, and the upper bound.
_BACKOFF_S, _MAX_BACKOFF_S = 0.2, 5.0


class ReadSchedule:
    """The reads of one shard.  Call `begin` before a read, then `succeeded`, `failed` or `end`."""

    def __init__(self, interval_s: float = POLL_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._next_at = float("-inf")
        self._is_asked = False
        self._began_at = float("-inf")
        # When the latest read that was answered began, and whether nothing was behind what it gave.
        self._answered = (float("-inf"), False)
        self.failures = 0  # in a row
        self.is_read_out = False  # the shard has ended, or is gone: there is nothing more to read

    @property
    def due_at(self) -> float | None:
        """When to read next, on the clock of `begin`; None when the shard is read out."""
        if self.is_read_out:
            return None
        return float("-inf") if self._is_asked else self._next_at

    def ask(self) -> None:
        """Make a read due now; one that is under way does not count."""
        self._is_asked = True

    def begin(self, now: float) -> None:
        """A read begins."""
        self._is_asked = False
        self._began_at = now

    def succeeded(self, result: "ReadResult") -> None:
        """The read was answered.  Reads go on at once until one shows that nothing is behind it."""
        self.failures = 0
        self.is_read_out = result.is_end
        self._next_at = self._began_at + self._interval_s if result.is_tip else float("-inf")
        self._answered = (self._began_at, result.is_tip and not result.is_end)

    def failed(self, now: float) -> float:
        """The read failed; returns the seconds until the next one."""
        pause_s: float = min(_MAX_BACKOFF_S, _BACKOFF_S * 2 ** min(self.failures, 16))
        self.failures += 1
        self._next_at = now + pause_s
        self._answered = (self._began_at, False)
        return pause_s

    def end(self) -> None:
        """The shard is gone."""
        self.is_read_out = True

    def saw_tip(self, since: float) -> bool | None:
        """Whether the latest read came to the shard's tip; None if it began before `since`."""
        began_at, is_tip = self._answered
        return is_tip if began_at >= since else None
