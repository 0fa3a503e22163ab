"""The books of a simulated run: which records are stored, rejected or dead-lettered, when, and its figures.

Counted are records, and events where a name says so.
"""

import math
from collections.abc import Sequence

from ops.planning.simulation.capacity_model import Chunk
from ops.planning.simulation.figures import Histogram, Timeline
from ops.planning.simulation.scenario import OfferedLoad, Result


class Ledger:
    """What has become of the records so far."""

    def __init__(self, load: OfferedLoad) -> None:
        self._load = load
        self._events_each = load.events_per_record
        self.left = load.flow_records + load.burst_records
        self.reads = self.invocations = self.records_given = self.max_running = self.cold_starts = 0
        self.failed = self.timed_out = self.partial = self.concurrency_throttles = 0
        self.lambda_s = 0.0
        self._stored = self._dead = self._rejected = self._write_throttles = self._put_throttles = 0
        self._done_at = self._iterator_age_s = 0.0
        self._timeline = Timeline()
        self._latency = Histogram()
        self._taken_in = 0  # by all shards, up to each one's last read
        self._burst_in_at = -math.inf  # when shards had taken in the last of the burst
        self._burst_left = 0  # what was taken in by then and is not done
        self._burst_done_at: float | None = None

    def take_in(self, records: int) -> None:
        """Record that a shard has taken in these records."""
        self._taken_in += records

    def refuse(self, records: int) -> None:
        """Record that a shard has refused these records."""
        self._put_throttles += records

    def reject(self, records: int, now: float) -> None:
        """Record that the producer has given up on these records."""
        self.left -= records
        self._rejected += records
        self._done_at = now
        self._timeline.add(now, given_up=records * self._events_each)

    def end_burst(self, now: float) -> None:
        """Record that shards have taken in all of the burst that is not rejected."""
        self._burst_in_at = now
        self._burst_left = self._taken_in - self._stored - self._dead
        if not self._burst_left:
            self._burst_done_at = now

    def invoke(self, records: int, age_s: float, now: float) -> None:
        """Record an invocation with these records, the newest of which is this old."""
        self.invocations += 1
        self.records_given += records
        self._iterator_age_s = max(self._iterator_age_s, age_s)
        self._timeline.add(now, age_s=age_s, invocations=1)

    def throttle_writes(self, requests: int, now: float) -> None:
        """Record that DynamoDB has refused these requests, or part of them."""
        self._write_throttles += requests
        self._timeline.add(now, throttles=requests)

    def store(self, chunks: Sequence[Chunk], now: float) -> int:
        """Record that the chunks are stored; return how many records they hold."""
        for chunk in chunks:
            self._latency.add(now - (chunk.first_at + chunk.last_at) / 2, chunk.records * self._events_each)
        count = self._complete(chunks, now)
        self._stored += count
        self._timeline.add(now, stored=count * self._events_each)
        return count

    def dead_letter(self, chunks: Sequence[Chunk], now: float) -> int:
        """Record that the chunks are discarded; return how many records they hold."""
        count = self._complete(chunks, now)
        self._dead += count
        self._timeline.add(now, given_up=count * self._events_each)
        return count

    def _complete(self, chunks: Sequence[Chunk], now: float) -> int:
        count = sum(chunk.records for chunk in chunks)
        self.left -= count
        self._done_at = now
        if self._burst_left:
            self._burst_left -= sum(chunk.records for chunk in chunks if chunk.last_at <= self._burst_in_at)
            if not self._burst_left:
                self._burst_done_at = now
        return count

    def result(self) -> Result:
        """Return the figures of the run."""
        load, each = self._load, self._events_each
        burst_stored_s = None
        if load.burst and self._burst_done_at is not None:
            burst_stored_s = self._burst_done_at - load.burst_at
        return Result(
            events=load.events,
            stored=self._stored * each,
            dead_lettered=self._dead * each,
            rejected=self._rejected * each,
            drained_s=self._done_at,
            burst_stored_s=burst_stored_s,
            iterator_age_s=self._iterator_age_s,
            latency_s={f"p{rank}": self._latency.percentile(rank) for rank in (50, 95, 99)},
            reads=self.reads,
            invocations=self.invocations,
            records_given=self.records_given,
            failed_invocations=self.failed,
            timed_out_invocations=self.timed_out,
            partial_invocations=self.partial,
            cold_starts=self.cold_starts,
            concurrency=self.max_running,
            lambda_s=self.lambda_s,
            write_throttles=self._write_throttles,
            put_throttles=self._put_throttles,
            concurrency_throttles=self.concurrency_throttles,
            timeline=self._timeline.moments(),
        )
