"""The figures of a run: how long an event takes from the stream to the table, and what it took to get there.

The only place that computes them.  An Observer of the event source mappings on one side and the producer's
acceptances on the other; both come from several threads, and in either order: a fast pipeline has stored
an event before the producer has read PutRecords' answer.
"""

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from local.event_sources.observer import Invocation, Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the mappings have done so far."""

    invocations: int = 0
    failed_invocations: int = 0  # errors, timeouts, crashes
    processed: int = 0  # records that a function succeeded on, redeliveries counted again
    bisects: int = 0
    discarded: int = 0  # records given up and sent to the failure destination as pointers
    iterator_age_ms_max: float = 0.0


class Counter(Observer):
    """Counts, and nothing that grows with the run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._invocations = 0
        self._failed_invocations = 0
        self._processed = 0
        self._bisects = 0
        self._discarded = 0
        self._iterator_age_ms_max = 0.0

    def invoked(self, invocation: Invocation) -> None:
        """Count it."""
        with self._lock:
            self._invocations += 1
            self._failed_invocations += invocation.outcome in ("error", "timeout", "crash")
            self._iterator_age_ms_max = max(self._iterator_age_ms_max, invocation.iterator_age_ms)

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """Count them."""
        with self._lock:
            self._processed += len(identifiers)

    def bisected(self, source: str, batch_size: int) -> None:
        """Count it."""
        with self._lock:
            self._bisects += 1

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Count them."""
        with self._lock:
            self._discarded += len(identifiers)

    def counts(self) -> Counts:
        """What has been counted."""
        with self._lock:
            return Counts(
                invocations=self._invocations,
                failed_invocations=self._failed_invocations,
                processed=self._processed,
                bisects=self._bisects,
                discarded=self._discarded,
                iterator_age_ms_max=self._iterator_age_ms_max,
            )


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

    def accepted(self, shard_id: str, sequence_number: str, at: float, *, is_event: bool) -> None:
        """The stream has taken a record.  One that is no event is waited for, and not timed."""
        record = (shard_id, sequence_number)
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
        """Count them.  Their way goes on through the dead-letter queue, so no time is taken."""
        super().discarded(source, identifiers, condition)
        self._done(source, identifiers, None)

    @property
    def outstanding(self) -> int:
        """Records the stream has taken and no function has succeeded on or been given up on."""
        with self._lock:
            return len(self._accepted_at)

    def latency_ms(self) -> dict[str, float | None]:
        """p50, p95 and p99 over all events; None where there are none."""
        with self._lock:
            ordered = sorted(self._latencies_s)
        return {f"p{rank}": _percentile(ordered, rank) for rank in (50, 95, 99)}

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


def _percentile(ordered: Sequence[float], rank: int) -> float | None:
    """The nearest-rank percentile in milliseconds."""
    if not ordered:
        return None
    index = -(-len(ordered) * rank // 100) - 1
    return round(ordered[index] * 1000, 1)
