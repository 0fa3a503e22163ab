"""The parts of a simulated pipeline: records on their way, what a shard takes in, what a table takes.

Records that a shard took in between two reads are one chunk: a count with the times of the first and the
last record, spread evenly between them.  A read, a batch and a retry split chunks; nothing looks at a single
record, so that a billion of them cost no more than their invocations do.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple


class Chunk(NamedTuple):
    """Records that arrived evenly between two moments."""

    records: int
    first_at: float
    last_at: float


class ChunkQueue:
    """Chunks, oldest first."""

    def __init__(self, chunks: Sequence[Chunk] = ()) -> None:
        self._chunks = deque(chunks)
        self.count = sum(chunk.records for chunk in chunks)

    def put(self, chunk: Chunk) -> None:
        """Append records."""
        self._chunks.append(chunk)
        self.count += chunk.records

    def take(self, at_most: int) -> list[Chunk]:
        """Remove up to `at_most` records from the front and return them."""
        taken = []
        left = min(at_most, self.count)
        self.count -= left
        while left:
            chunk = self._chunks[0]
            if chunk.records <= left:
                self._chunks.popleft()
                taken.append(chunk)
                left -= chunk.records
            else:
                front, self._chunks[0] = split(chunk, left)
                taken.append(front)
                left = 0
        return taken


def split(chunk: Chunk, count: int) -> tuple[Chunk, Chunk]:
    """Return the first `count` records of a chunk, and the rest."""
    middle = chunk.first_at + (chunk.last_at - chunk.first_at) * count / chunk.records
    return Chunk(count, chunk.first_at, middle), Chunk(chunk.records - count, middle, chunk.last_at)


class Inlet:
    """The way into one shard, up to its limit, a second's worth of which may come at once.

    An even flow is a fluid: what comes too fast waits at its producers and is in as soon as there is room.
    A burst is offered request by request, and partly refused.
    """

    def __init__(self, flow_s: float, flow_ends_at: float, flow_total: int, limit_s: float) -> None:
        """The flow and the limit are in records a second."""
        self._flow_s = flow_s
        self._flow_ends_at = flow_ends_at
        self._total = flow_total
        self._limit_s = self._tokens = limit_s
        self._at = self._come = self._waiting = 0.0
        self._handed = 0  # records of the flow that were handed out
        self._put = 0  # records of bursts that were taken in and not yet handed out
        self._first_at: float | None = None
        self._last_at = 0.0

    @property
    def is_drained(self) -> bool:
        """Whether all that was offered so far, and all of the flow, was handed out."""
        return self._handed == self._total and not self._put

    def offer(self, records: int, now: float) -> int:
        """Return how many of the records the shard takes in now; the rest is refused."""
        self._advance(now)
        taken = records if self._tokens == math.inf else min(records, int(self._tokens))
        if taken:
            self._tokens -= taken
            self._put += taken
            self._mark(now, now)
        return taken

    def until(self, now: float) -> Chunk | None:
        """Return what the shard has taken in since the last call; None for nothing."""
        self._advance(now)
        is_over = self._at >= self._flow_ends_at and self._waiting < 1e-6
        come = self._total if is_over else min(self._total, int(self._come))
        records = come - self._handed + self._put
        if not records:
            return None
        self._handed, self._put = come, 0
        chunk = Chunk(records, now if self._first_at is None else self._first_at, min(now, self._last_at))
        self._first_at = None
        return chunk

    def _advance(self, now: float) -> None:
        if self._at < self._flow_ends_at < now:
            self._span(self._flow_ends_at, self._flow_s)
        self._span(now, self._flow_s if self._at < self._flow_ends_at else 0.0)

    def _span(self, ends_at: float, flow_s: float) -> None:
        """Advance to a moment up to which the flow stays the same."""
        length = ends_at - self._at
        if length <= 0:
            return
        if self._limit_s < math.inf:
            supply = self._waiting + flow_s * length
            room = self._tokens + self._limit_s * length
            taken = min(supply, room)
            self._waiting = supply - taken
            self._tokens = min(self._limit_s, room - taken)
        else:
            taken = flow_s * length
        if taken > 0:
            # Without more coming, what waited was in as soon as there was room for it.
            last_at = ends_at if flow_s or self._waiting else self._at + min(length, taken / self._limit_s)
            self._mark(self._at, last_at)
            self._come += taken
        self._at = ends_at

    def _mark(self, first_at: float, last_at: float) -> None:
        if self._first_at is None:
            self._first_at = first_at
        self._last_at = max(self._last_at, last_at)


class Table:
    """DynamoDB's write capacity: units per second, and those that were saved up.

    Keys are taken to spread evenly over its partitions.  An item needs its units at one moment: a remainder
    stays with the table until it is enough for a whole item.
    """

    def __init__(self, units_s: float, saved_s: float) -> None:
        """`saved_s` is the seconds' worth that may be saved up: 1 on demand, 300 provisioned."""
        self._units_s = units_s
        self._capacity = units_s * max(1.0, saved_s)
        self._tokens = self._capacity
        self._at = 0.0

    def take(self, items: int, units_each: int, now: float) -> int:
        """Return how many of the items there are units for at this moment."""
        if self._units_s == math.inf:
            return items
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._units_s)
        self._at = now
        taken = min(items, int(self._tokens // units_each))
        self._tokens -= taken * units_each
        return taken
