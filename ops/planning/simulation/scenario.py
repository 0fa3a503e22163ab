"""What is simulated and what results: the pipeline's settings, the offered load, the figures."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ops.planning import capacity
from ops.planning.simulation.figures import Moment
from producer.limits import IN_FLIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The pipeline, in seconds, records and units; infinity lifts a limit."""

    shards: int = 4
    shard_records_s: float = capacity.SHARD_IN_RECORDS_S
    shard_in_bytes_s: float = capacity.SHARD_IN_BYTES_S
    shard_out_bytes_s: float = capacity.SHARD_OUT_BYTES_S
    shard_reads_s: float = capacity.SHARD_READS_S
    poll_s: float = capacity.POLL_S
    batch_size: int = 500
    window_s: float = 0.0
    parallelization: int = 1
    retry_attempts: int = 3
    handler_s: float = 0.0  # duration of an invocation, without its records
    record_s: float = 0.0  # duration of each of its records
    jitter: float = 0.1  # share by which the duration varies up and down
    cold_start_s: float = 0.0
    timeout_s: float = 60.0
    failing: float = 0.0  # share of invocations that crash
    concurrency: int = capacity.QUOTA_CONCURRENCY  # of all shards together
    write_units_s: float = capacity.NEW_TABLE_WRITE_UNITS_S
    saved_s: float = 1.0  # unused write capacity that may be saved up: 300 for a provisioned table

    def __post_init__(self) -> None:
        """Raises ValueError for a pipeline that could never finish."""
        positive = (
            "shards shard_records_s shard_in_bytes_s shard_out_bytes_s shard_reads_s poll_s batch_size "
            "parallelization timeout_s concurrency"
        )
        for name in positive.split():
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0, got {getattr(self, name)}")
        if not self.write_units_s >= 1:
            raise ValueError(f"write_units_s: expected 1 or more, got {self.write_units_s}")
        if not 0 <= self.failing < 1 or not 0 <= self.jitter < 1:
            raise ValueError("failing and jitter are shares from 0 to below 1")

    def require_room_for(self, load: "OfferedLoad") -> None:
        """Raise ValueError for a table that never has the units of one event together."""
        units = capacity.write_units(load.event_bytes)
        max_units = self.write_units_s * max(1.0, self.saved_s)
        if units > max_units:
            raise ValueError(
                f"an event of {load.event_bytes:,} bytes needs {units} write units at once, the table never "
                f"has more than {max_units:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedLoad:
    """What producers offer: an even flow, and a burst on top of it."""

    events_s: float = 0.0
    seconds: float = 0.0
    burst: int = 0
    burst_at: float = 0.0
    producers: int = 1  # that put the burst
    put_s: float = 0.04  # duration of one of their requests
    event_bytes: int = 972
    events_per_record: int = 1  # KPL aggregation; the last record is full, too
    keys: int | None = None  # products, each on one shard; None spreads evenly

    @property
    def record_bytes(self) -> int:
        """A record with its key."""
        return capacity.packed(self.event_bytes, self.events_per_record).record_bytes

    @property
    def burst_records(self) -> int:
        """Records that carry the burst."""
        return math.ceil(self.burst / self.events_per_record)

    @property
    def flow_records(self) -> int:
        """Records that carry the even flow."""
        return round(self.events_s * self.seconds / self.events_per_record)

    @property
    def events(self) -> int:
        """All events, in whole records."""
        return (self.flow_records + self.burst_records) * self.events_per_record

    @property
    def producers_s(self) -> float:
        """Records a second that the producers of a burst put when nothing is refused."""
        records = capacity.records_per_request(self.record_bytes)
        return self.producers * IN_FLIGHT * records / self.put_s

    def offered_by(self, at: float) -> int:
        """Return the events that producers had put by then, or could have."""
        of_burst = self.burst_records * self.events_per_record if at >= self.burst_at else 0
        return min(self.events, round(self.events_s * min(self.seconds, at)) + of_burst)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The figures of a run.  Times are seconds from the start."""

    events: int
    stored: int
    dead_lettered: int
    rejected: int  # refused by the stream until the producer gave up
    drained_s: float  # until the last event was stored, rejected or dead-lettered
    burst_stored_s: float | None  # from the burst's begin until all is done that came no later than its last
    iterator_age_s: float  # the largest
    latency_s: dict[str, float | None]  # from the stream to the table: p50, p95, p99
    reads: int
    invocations: int
    records_given: int  # to all invocations together, some of them again
    failed_invocations: int
    timed_out_invocations: int  # of the failed ones: Lambda ended them
    partial_invocations: int
    cold_starts: int
    concurrency: int  # invocations at once, at most
    lambda_s: float  # all invocations together
    write_throttles: int  # BatchWriteItem requests that DynamoDB refused, or part of them
    put_throttles: int  # times that a shard refused a record
    concurrency_throttles: int
    timeline: list[Moment]

    @property
    def batch_mean(self) -> float:
        """Records in an invocation, on average."""
        return self.records_given / self.invocations if self.invocations else 0.0


def weights(shards: int, keys: int | None, rng: random.Random) -> list[int]:
    """Return how events spread over shards: equally, or by keys that each have one shard."""
    if keys is None:
        return [1] * shards
    drawn = [0] * shards
    for _ in range(keys):
        drawn[rng.randrange(shards)] += 1
    return drawn


def divided(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` into whole numbers by weight that add up to it."""
    whole, parts, given, seen = sum(weights), [], 0, 0
    for weight in weights:
        seen += weight
        parts.append(total * seen // whole - given)
        given += parts[-1]
    return parts
