"""The alternatives that are compared, and how large each has to be for a load.

It computes shards, lanes and units for a load and an alternative, and whether that is enough.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from ops.planning import capacity
from ops.planning.capacity import SECONDS_PER_MONTH, Aggregation
from producer.limits import ATTEMPTS

ON_DEMAND, PROVISIONED = "on-demand", "provisioned"

#: Memory sizes that are compared; 1,769 MB is one core.
MEMORY_MB = (512, 1024, 1769)

#: Seconds in which a provisioned table takes a record of every lane: half of an invocation's timeout.
RECORD_S = 30.0

#: Provisioned reads over the average: people look things up at the same hours.
LOOKUP_PEAK = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyLoad:
    """The load to plan for, per month, and what is kept of it."""

    events_per_month: int = 20_000_000
    event_bytes: int = 972  # the largest whose item is 1 KB
    burst: int = 100_000
    within_s: float = 60.0  # until a burst is stored
    retention_hours: int = 168
    lookups_per_month: int = 1_000_000
    events_per_product: int = 10
    linger_s: float = 1.0  # an aggregating producer waits for more events
    months_kept: int = 12  # months of events that storage is billed for
    alarm_metrics: int = 25  # that alarms look at
    capacity_alarm_metrics: int = 4  # that the alarm for a provisioned table looks at besides
    custom_metrics: int = 31
    dashboards: int = 1
    is_traced: bool = True

    @property
    def average_s(self) -> float:
        """Events per second over the month."""
        return self.events_per_month / SECONDS_PER_MONTH

    def peak_s(self, within_s: float) -> float:
        """Return the events per second while a burst is stored in `within_s` seconds."""
        return self.burst / within_s + self.average_s


@dataclass(frozen=True, slots=True)
class Alternative:
    """One choice of stream, aggregation, table and memory."""

    stream: str
    is_aggregated: bool
    table: str
    memory_mb: int
    batch_size: int = 500
    window_s: int = 0


@dataclass(frozen=True, slots=True)
class Design:
    """An alternative sized for a load."""

    alternative: Alternative
    packing: Aggregation  # on average; in a burst records are full
    shards: int
    parallelization: int
    write_units_s: int  # what the table takes: provisioned, or at first on demand
    read_units_s: int
    invocations_s: float  # on average
    drain_s: float
    shortcomings: tuple[str, ...]  # why it does not meet the target; empty when it does
    remarks: tuple[str, ...]  # what has to be done for it, beside choosing it

    @property
    def is_enough(self) -> bool:
        """Whether a burst is stored in time."""
        return not self.shortcomings

    @property
    def concurrency(self) -> int:
        """Invocations at once, at most."""
        return self.shards * self.parallelization


def alternatives() -> Iterator[Alternative]:
    """Yield all alternatives."""
    modes = (ON_DEMAND, PROVISIONED)
    for stream, is_aggregated, table, memory_mb in itertools.product(modes, (False, True), modes, MEMORY_MB):
        yield Alternative(stream, is_aggregated, table, memory_mb)


def alternatives_for(load: MonthlyLoad) -> Iterator[Alternative]:
    """Yield those that differ for this load: where no two events fit into a record, none aggregates."""
    fitting = capacity.aggregated(load.event_bytes).events_per_record
    return (each for each in alternatives() if fitting > 1 or not each.is_aggregated)


def beyond_quotas(design: Design, region: str) -> list[str]:
    """Return which of AWS's default quotas have to be raised for a design."""
    is_provisioned = design.alternative.table == PROVISIONED
    shards = capacity.quota_shards(region) if design.alternative.stream == PROVISIONED else math.inf
    quotas = (
        (design.concurrency, capacity.QUOTA_CONCURRENCY, "concurrent executions"),
        (design.shards, shards, "shards"),
        (design.write_units_s, capacity.QUOTA_TABLE_UNITS_S, "write units a second of a table"),
        (
            design.write_units_s if is_provisioned else 0,
            capacity.QUOTA_ACCOUNT_UNITS_S,
            "provisioned write units a second of all tables",
        ),
    )
    return [
        f"more than an account has by default, {quota:,} {what}: have the quota raised"
        for needed, quota, what in quotas
        if needed > quota
    ]


def design(load: MonthlyLoad, choice: Alternative) -> Design:
    """Size an alternative: the fewest shards and lanes that store a burst in time, with headroom."""
    packing, full = _packings(load, choice)
    batch = capacity.records_per_invocation(choice.batch_size, full.record_bytes)
    batch_events = batch * full.events_per_record
    first_s = _first_s(load, choice, full, batch_events)
    left_s = load.within_s - first_s
    room_s = capacity.room_s(left_s if left_s > 0 else load.within_s)
    intake_s = load.peak_s(room_s)
    needed_shards = capacity.shards_for(intake_s, full, room_s=room_s)
    shards = needed_shards if choice.stream == PROVISIONED else capacity.ON_DEMAND_SHARDS
    lane_s = capacity.lane_events_s(batch_events, choice.memory_mb)
    stored_s = load.peak_s(left_s if left_s > 0 else load.within_s)
    needed_lanes = capacity.parallelization_for(stored_s, shards, lane_s)
    parallelization = min(needed_lanes, capacity.MAX_PARALLELIZATION)
    units = capacity.write_units(load.event_bytes)
    needed_units_s = math.ceil(intake_s * units * (1 + capacity.HEADROOM))
    new_table_s = capacity.NEW_TABLE_WRITE_UNITS_S
    # What an invocation cannot write whole is written again, a record's events all together.
    lanes = min(shards * parallelization, math.ceil(load.burst / full.events_per_record))
    record_units_s = math.ceil(lanes * full.events_per_record * units / RECORD_S)
    min_units_s = max(units, record_units_s) if choice.table == PROVISIONED else new_table_s
    units_s = max(needed_units_s, min_units_s)
    remarks = []
    if choice.table == ON_DEMAND and units_s > new_table_s:
        remarks.append(
            f"set the table's warm throughput to these write units a second: a new one takes "
            f"{new_table_s:,}; its one-time charge is not in this bill"
        )
    if capacity.is_given_up(load.burst, full, shards):
        pace = max(1, int(shards * capacity.shard_records_s(full) / (1 + capacity.HEADROOM)))
        remarks.append(
            f"pace the producers to {pace:,} records a second (--rate): put as fast as possible, some are "
            f"refused {ATTEMPTS} times and given up"
        )
    lookups_s = load.lookups_per_month / SECONDS_PER_MONTH
    reads = capacity.read_units(load.events_per_product, load.event_bytes)
    let_in_s = min(shards * capacity.shard_events_s(full), units_s / units) - load.average_s
    lanes_s = shards * parallelization * lane_s - load.average_s
    drain_s = math.inf
    if let_in_s > 0 and lanes_s > 0:
        drain_s = first_s + max(capacity.let_in_after_s(load.burst / let_in_s), load.burst / lanes_s)
    shortcomings = []
    if left_s <= 0:  # more of anything makes that no shorter
        shortcomings.append(f"reading and storing the first batch alone take {first_s:.1f} s")
    elif needed_shards > shards:
        shortcomings.append(
            f"a new on-demand stream takes what {shards} shards take, the burst needs {needed_shards}; "
            "it grows to twice the peak of the last 30 days"
        )
    if left_s > 0 and needed_lanes > parallelization:
        shortcomings.append(
            f"{needed_lanes} lanes per shard would be needed, Lambda allows {parallelization}: more shards"
        )
    return Design(
        alternative=choice,
        packing=packing,
        shards=shards,
        parallelization=parallelization,
        write_units_s=units_s,
        read_units_s=max(1, math.ceil(lookups_s * reads * LOOKUP_PEAK)),
        invocations_s=capacity.invocations_per_second(
            load.average_s, packing, shards * parallelization, choice.batch_size, choice.window_s
        ),
        drain_s=drain_s,
        shortcomings=tuple(shortcomings),
        remarks=tuple(remarks),
    )


def _first_s(load: MonthlyLoad, choice: Alternative, full: Aggregation, batch_events: int) -> float:
    """Return the seconds until the first batch is stored, in a new sandbox; more shards do not shorten it.

    A lane that keeps up never finds more in a batch than its shard took in since the last poll, and what the
    shard takes in at once.
    """
    waits_s = capacity.POLL_S + choice.window_s
    arriving = capacity.shard_events_s(full) * (capacity.AT_ONCE_S + waits_s)
    found = min(load.burst, batch_events, math.ceil(arriving))
    return waits_s + capacity.COLD_START_S + capacity.handler_s(found, choice.memory_mb)


def _packings(load: MonthlyLoad, choice: Alternative) -> tuple[Aggregation, Aggregation]:
    """Return how records are filled on average, where a producer lingers briefly, and in a burst."""
    if not choice.is_aggregated:
        alone = capacity.one_by_one(load.event_bytes)
        return alone, alone
    arriving = max(1, int(load.average_s * load.linger_s))
    return capacity.aggregated(load.event_bytes, arriving), capacity.aggregated(load.event_bytes)
