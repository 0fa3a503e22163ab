"""What the local event source mappings tell about their work, for the demo's figures and the dashboard.

The only arrow out of the mappings: they call an observer and know nothing of who watches.  Calls come from
several threads, so an observer does its own locking; it must not raise and must not block.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Invocation(NamedTuple):
    """One invocation of a function by a mapping, once its outcome is known."""

    function: str
    source: str  # shard id, or the queue's name
    batch_size: int
    outcome: str  # ok, partial, error, timeout, crash, undelivered
    attempt: int  # 1 for the first try of this batch
    iterator_age_ms: float  # age of the batch's last record when the function was invoked
    started_at: float  # epoch seconds
    seconds: float


class Observer(Protocol):
    """Watches mappings.  Times are epoch seconds."""

    def read(self, source: str, count: int, arrived_at: float) -> None:
        """So many records were taken from a shard, the first of which arrived then."""

    def invoked(self, invocation: Invocation) -> None:
        """An invocation ended."""

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """The function has succeeded on these records (sequence numbers) or messages (message ids)."""

    def bisected(self, source: str, batch_size: int) -> None:
        """A failed batch was split in two."""

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """A batch was given up and its pointers were sent to the failure destination."""


class Silent:
    """An observer that watches nothing; the base of those that watch something."""

    def read(self, source: str, count: int, arrived_at: float) -> None:
        """Ignored."""

    def invoked(self, invocation: Invocation) -> None:
        """Ignored."""

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """Ignored."""

    def bisected(self, source: str, batch_size: int) -> None:
        """Ignored."""

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Ignored."""
