"""What the local event source mappings report about their work, for the demo's figures and the dashboard.

The mappings call an observer and know nothing of its readers.  Calls come from several threads, so an
observer does its own locking; it must not raise and must not block.
"""

from collections.abc import Sequence
from typing import NamedTuple


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


class Observer:
    """Receives the mappings' reports and ignores them; subclasses override what they count.

    Times are epoch seconds.
    """

    def read(self, source: str, count: int, arrived_at: float) -> None:
        """`count` records were read from a shard; the first of them arrived on the stream at `arrived_at`."""

    def invoked(self, invocation: Invocation) -> None:
        """An invocation ended."""

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """The function has succeeded on these records (sequence numbers) or messages (message ids)."""

    def bisected(self, source: str, batch_size: int) -> None:
        """A failed batch was split in two."""

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """A batch was discarded; its pointers went to the failure destination, if the mapping has one."""
