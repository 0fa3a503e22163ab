"""Counts what the event source mappings do in a run, and times each event from the stream to the table.

An observer of the mappings on one side and the producer's acceptances on the other; both come from several
threads, and in either order: a fast pipeline has stored an event before the producer has read PutRecords'
answer.
"""

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local.event_sources.observer import Invocation, Observer

if TYPE_CHECKING:
    from producer.entry import Entry


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the mappings have done so far."""

    invocations: int = 0
    failed_invocations: int = 0  # errors, timeouts, crashes
    retries: int = 0  # invocations with a batch, or what bisecting left of it, that had failed before
    processed: int = 0  # records that a function succeeded on, redeliveries counted again
    bisects: int = 0
    bisected_from: int = 0  # the largest batch that was bisected
    discarded: int = 0  # records sent to the failure destination as pointers
    dead_letter_messages: int = 0  # one for each batch discarded
    iterator_age_ms_max: float = 0.0


class Counter(Observer):
    """Counts, and keeps nothing that grows with the run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    def invoked(self, invocation: Invocation) -> None:
        """Count it."""
        counts = self._counts
        with self._lock:
            counts.invocations += 1
            counts.failed_invocations += invocation.outcome in ("error", "timeout", "crash")
            counts.retries += invocation.attempt > 1
            counts.iterator_age_ms_max = max(counts.iterator_age_ms_max, invocation.iterator_age_ms)

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """Count them."""
        with self._lock:
            self._counts.processed += len(identifiers)

    def bisected(self, source: str, batch_size: int) -> None:
        """Count it."""
        with self._lock:
            self._counts.bisects += 1
            self._counts.bisected_from = max(self._counts.bisected_from, batch_size)

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Count them."""
        with self._lock:
            self._counts.discarded += len(identifiers)
            self._counts.dead_letter_messages += 1

    def counts(self) -> Counts:
        """Return the counts so far."""
        with self._lock:
            return replace(self._counts)


class Stopwatch(Counter):
    """Times every record from PutRecords' acceptance to its function's success.  Times are epoch seconds."""

    def __init__(self) -> None:
        super().__init__()
        # By shard and sequence number; a time of None is of a record that counts and is not timed.
        self._accepted_at: dict[tuple[str, str], float | None] = {}
        self._done_at: dict[tuple[str, str], float | None] = {}
        self._latencies_s = array("d")
        self.last_accepted_at = 0.0
        self.last_done_at = 0.0

    def accepted(self, entry: "Entry", shard_id: str, sequence_number: str, at: float) -> None:
        """The stream has taken a record.  Poison is waited for, and not timed."""
        record = (shard_id, sequence_number)
        is_event = entry.kind != "poison"
        with self._lock:
            self.last_accepted_at = max(self.last_accepted_at, at)
            if record in self._done_at:
                self._time(at if is_event else None, self._done_at.pop(record))
            else:
                self._accepted_at[record] = at if is_event else None

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """Count them, and time those that the producer put on the stream."""
        super().processed(source, identifiers, at)
        self._done(source, identifiers, at)

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Count them.  They go on through the dead-letter queue, so no time is taken."""
        super().discarded(source, identifiers, condition)
        self._done(source, identifiers, None)

    @property
    def outstanding(self) -> int:
        """Records that the stream has taken and that are neither processed nor discarded."""
        with self._lock:
            return len(self._accepted_at)

    def latency_ms(self) -> dict[str, float | None]:
        """Return p50, p95 and p99 over all events; None where there are none."""
        with self._lock:
            ordered = sorted(self._latencies_s)
        return {
            f"p{rank}": round(percentile(ordered, rank) * 1000, 1) if ordered else None
            for rank in (50, 95, 99)
        }

    def _done(self, source: str, identifiers: Sequence[str], at: float | None) -> None:
        with self._lock:
            self.last_done_at = max(self.last_done_at, at or 0.0)
            for identifier in identifiers:
                record = (source, identifier)
                if record in self._accepted_at:
                    self._time(self._accepted_at.pop(record), at)
                else:
                    self._done_at.setdefault(record, at)

    def _time(self, accepted_at: float | None, done_at: float | None) -> None:
        if accepted_at is not None and done_at is not None:
            self._latencies_s.append(max(0.0, done_at - accepted_at))  # a clock may have been set back


def percentile(ordered: Sequence[float], rank: int) -> float:
    """Return the nearest-rank percentile of sorted values, at least one."""
    return ordered[max(0, -(-len(ordered) * rank // 100) - 1)]
