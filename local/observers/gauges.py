"""What the pipeline is doing, as numbers that a dashboard can show: shards, batches, rates, percentiles."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from local.event_sources.observer import Invocation
from local.observers.counters import Counter, percentile

#: Percentiles are over this time; rates over a shorter one, so that a burst shows as it is.
WINDOW_S, RATE_S = 60.0, 5.0

#: An iterator age that is worth a colour, or a word; the alarm on AWS rings at a minute.
LATE_MS = 10_000.0


@dataclass(slots=True)
class ShardGauge:
    """One shard as its mapping sees it."""

    read: int = 0  # records taken from the stream
    done: int = 0  # of them, those that the function succeeded on or the mapping discarded
    batches: int = 0
    batch_size: int = 0  # the latest batch's
    iterator_age_ms: float = 0.0  # of the latest batch's last record, when the function was invoked
    last_at: float = 0.0  # epoch seconds at which the latest batch ended
    oldest_at: float | None = None  # epoch seconds at which the oldest record not done arrived

    def age_ms(self, now: float) -> float | None:
        """Return the age of the oldest record not done; without one, the latest batch's for a minute."""
        if self.oldest_at is not None:
            return max(0.0, now - self.oldest_at) * 1000
        return self.iterator_age_ms if self.batches and now - self.last_at <= WINDOW_S else None


class BatchSizes(NamedTuple):
    """The sizes of the Kinesis batches so far."""

    mean: float
    largest: int


class Totals(NamedTuple):
    """Counts since the start."""

    read: int = 0
    stored: int = 0
    requests: int = 0


class Gauges(Counter):
    """An observer of the mappings that also keeps what a dashboard shows."""

    def __init__(self) -> None:
        super().__init__()
        self._shards: dict[str, ShardGauge] = {}
        #: By shard, of each read that is not done: when its first record arrived, how many are left.
        self._reads: dict[str, deque[tuple[float, int]]] = {}
        self._batched = 0
        self._largest_batch = 0

    def read(self, source: str, count: int, arrived_at: float) -> None:
        """Count them."""
        with self._lock:
            self._shards.setdefault(source, ShardGauge()).read += count
            self._reads.setdefault(source, deque()).append((arrived_at, count))
            self._note_oldest(source)

    def invoked(self, invocation: Invocation) -> None:
        """Count it."""
        super().invoked(invocation)
        with self._lock:
            if invocation.source not in self._shards:
                return  # a queue's
            shard = self._shards[invocation.source]
            shard.batches += 1
            shard.batch_size = invocation.batch_size
            shard.iterator_age_ms = invocation.iterator_age_ms
            shard.last_at = invocation.started_at + invocation.seconds
            self._batched += invocation.batch_size
            self._largest_batch = max(self._largest_batch, invocation.batch_size)

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """Count them."""
        super().processed(source, identifiers, at)
        self._done(source, len(identifiers))

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Count them."""
        super().discarded(source, identifiers, condition)
        self._done(source, len(identifiers))

    def shards(self) -> dict[str, ShardGauge]:
        """Return each shard that has brought something, by its id."""
        with self._lock:
            return {name: replace(shard) for name, shard in sorted(self._shards.items())}

    def batch_sizes(self) -> BatchSizes:
        """Return the sizes of the Kinesis batches so far."""
        with self._lock:
            batches = sum(shard.batches for shard in self._shards.values())
            return BatchSizes(self._batched / batches if batches else 0.0, self._largest_batch)

    def _done(self, source: str, count: int) -> None:
        with self._lock:
            if source not in self._shards:
                return  # a queue's
            self._shards[source].done += count
            reads = self._reads[source]
            while reads and count >= reads[0][1]:
                count -= reads.popleft()[1]
            if reads:
                reads[0] = (reads[0][0], reads[0][1] - count)
            self._note_oldest(source)

    def _note_oldest(self, source: str) -> None:
        reads = self._reads[source]
        self._shards[source].oldest_at = reads[0][0] if reads else None


class Rates:
    """How fast counts grow, per second, over the latest RATE_S seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Totals]] = deque()

    def add(self, now: float, totals: Totals) -> None:
        """Take the counts of this moment."""
        self._seen.append((now, totals))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_S:
            self._seen.popleft()

    def per_second(self) -> tuple[float, ...]:
        """Return the rate of each of the counts."""
        (then, before), (now, after) = self._seen[0], self._seen[-1]
        seconds = now - then
        return tuple((b - a) / seconds if seconds > 0 else 0.0 for a, b in zip(before, after, strict=True))


def percentiles(
    kept: Iterable[tuple[float, Sequence[float]]], now: float
) -> tuple[float | None, float | None]:
    """Return p50 and p99 of the values of the last WINDOW_S seconds; None where there are none."""
    ordered = sorted(value for at, values in kept if now - at <= WINDOW_S for value in values)
    return (percentile(ordered, 50), percentile(ordered, 99)) if ordered else (None, None)
