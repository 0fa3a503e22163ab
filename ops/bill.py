"""A design for a load, and its monthly bill line by line.

Pure: a load, an alternative and a price list go in.  The only place that knows what this project's parts
are billed for.  List prices, without free tiers.  Not in the bill: KMS requests of AWS's own keys, SNS,
data out of AWS, the optional archive in S3; dead letters and quarantine, which are exceptions.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ops import capacity
from ops.capacity import GB, SECONDS_A_MONTH, Aggregation
from ops.prices import PriceList

ON_DEMAND, PROVISIONED = "on-demand", "provisioned"

#: Memory sizes that are compared; 1,769 MB is one core.
MEMORY_MB = (512, 1024, 1769)

#: People look things up at the same hours: provisioned reads are for so many times the average.
LOOKUP_PEAK = 10

#: What a lookup takes in the function of the API.  Measured on a laptop, with DynamoDB's latency added.
LOOKUP_S = 0.03

#: Extended retention costs by shard or GB up to seven days; beyond that other prices hold.
FREE_RETENTION_HOURS, MAX_RETENTION_HOURS = 24, 168


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What has to be carried, and what is kept of it."""

    events_a_month: int = 20_000_000
    event_bytes: int = 972  # the largest whose item is 1 KB
    burst: int = 100_000
    within_s: float = 60.0  # a burst is stored by then
    retention_hours: int = 168
    lookups_a_month: int = 1_000_000
    events_a_product: int = 10
    linger_s: float = 1.0  # how long a producer that aggregates waits for company
    months_kept: int = 12  # storage is billed for so many months of events
    alarm_metrics: int = 25  # that alarms look at
    capacity_alarm_metrics: int = 4  # that the alarm for a provisioned table looks at besides
    custom_metrics: int = 31
    dashboards: int = 1
    is_traced: bool = True

    @property
    def average_s(self) -> float:
        """Events a second over the month."""
        return self.events_a_month / SECONDS_A_MONTH

    def peak_s(self, within_s: float) -> float:
        """Events a second while a burst is stored in so many seconds."""
        return self.burst / within_s + self.average_s


@dataclass(frozen=True, slots=True)
class Alternative:
    """What one may choose."""

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
    remark: str  # what has to be done for it, beside choosing it

    @property
    def is_enough(self) -> bool:
        """Whether a burst is stored in time."""
        return not self.shortcomings

    @property
    def concurrency(self) -> int:
        """Invocations at once, at most."""
        return self.shards * self.parallelization


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill."""

    service: str
    what: str
    quantity: Decimal
    price: str  # its key in the price list
    usd: Decimal


def alternatives() -> Iterator[Alternative]:
    """Everything that is compared."""
    modes = (ON_DEMAND, PROVISIONED)
    for stream, is_aggregated, table, memory_mb in itertools.product(modes, (False, True), modes, MEMORY_MB):
        yield Alternative(stream, is_aggregated, table, memory_mb)


def design(load: Load, choice: Alternative) -> Design:
    """Size an alternative: the fewest shards and lanes that store a burst in time, with headroom."""
    packing, full = _packings(load, choice)
    batch = capacity.records_an_invocation(choice.batch_size, full.record_bytes)
    batch_events = batch * full.events_a_record
    first_s = _first_s(load, choice, full, batch_events)
    left_s = load.within_s - first_s
    intake_s = load.peak_s(capacity.room_s(left_s if left_s > 0 else load.within_s))
    needed_shards = capacity.shards_for(intake_s, full)
    shards = needed_shards if choice.stream == PROVISIONED else capacity.ON_DEMAND_SHARDS
    lane_s = capacity.lane_events_s(batch_events, choice.memory_mb)
    stored_s = load.peak_s(left_s if left_s > 0 else load.within_s)
    needed_lanes = capacity.parallelization_for(stored_s, shards, lane_s)
    parallelization = min(needed_lanes, capacity.MAX_PARALLELIZATION)
    units = capacity.write_units(load.event_bytes)
    needed_units_s = math.ceil(intake_s * units * (1 + capacity.HEADROOM))
    new_table_s = capacity.NEW_TABLE_WRITE_UNITS_S
    units_s = needed_units_s if choice.table == PROVISIONED else max(needed_units_s, new_table_s)
    remark = ""
    if choice.table == ON_DEMAND and units_s > new_table_s:
        remark = (
            f"set the table's warm throughput to {units_s:,} write units a second: a new one takes "
            f"{new_table_s:,}; its one-time charge is not in this bill"
        )
    lookups_s = load.lookups_a_month / SECONDS_A_MONTH
    reads = capacity.read_units(load.events_a_product, load.event_bytes)
    let_in_s = min(shards * capacity.shard_events_s(full), units_s / units) - load.average_s
    lanes_s = shards * parallelization * lane_s - load.average_s
    drain_s = math.inf
    if let_in_s > 0 and lanes_s > 0:
        drain_s = first_s + max(capacity.let_in_after_s(load.burst / let_in_s), load.burst / lanes_s)
    shortcomings = []
    if needed_shards > shards:
        shortcomings.append(
            f"a new on-demand stream takes what {shards} shards take, the burst needs {needed_shards}; "
            "it grows to twice the peak of the last 30 days"
        )
    if needed_lanes > parallelization:
        shortcomings.append(
            f"{needed_lanes} lanes a shard would be needed, Lambda allows {parallelization}: more shards"
        )
    if left_s <= 0:
        shortcomings.append(f"reading and storing the first batch alone take {first_s:.1f} s")
    return Design(
        alternative=choice,
        packing=packing,
        shards=shards,
        parallelization=parallelization,
        write_units_s=units_s,
        read_units_s=max(1, math.ceil(lookups_s * reads * LOOKUP_PEAK)),
        invocations_s=capacity.invocations_a_second(
            load.average_s, packing, shards * parallelization, choice.batch_size, choice.window_s
        ),
        drain_s=drain_s,
        shortcomings=tuple(shortcomings),
        remark=remark,
    )


def _first_s(load: Load, choice: Alternative, full: Aggregation, batch_events: int) -> float:
    """Seconds until the first batch is stored, in a new sandbox: more shards make it no shorter.

    A lane that keeps up never finds a fuller batch than what its shard took in since the last look, and
    what the shard takes in at once.
    """
    waits_s = capacity.POLL_S + choice.window_s
    arriving = capacity.shard_events_s(full) * (capacity.AT_ONCE_S + waits_s)
    found = min(load.burst, batch_events, math.ceil(arriving))
    return waits_s + capacity.COLD_START_S + capacity.handler_s(found, choice.memory_mb)


def _packings(load: Load, choice: Alternative) -> tuple[Aggregation, Aggregation]:
    """How records are filled on average, when a producer does not wait long, and in a burst."""
    if not choice.is_aggregated:
        alone = capacity.one_by_one(load.event_bytes)
        return alone, alone
    arriving = max(1, int(load.average_s * load.linger_s))
    return capacity.aggregated(load.event_bytes, arriving), capacity.aggregated(load.event_bytes)


def bill(load: Load, plan: Design, prices: PriceList) -> list[Line]:
    """What a month costs.  Raises ConfigurationError when the list lacks a price."""
    lines = list(_quantities(load, plan))
    prices.require({key for _, _, _, key in lines})
    return [
        Line(service, what, quantity, key, quantity * prices[key].usd)
        for service, what, quantity, key in lines
    ]


def total(lines: list[Line]) -> Decimal:
    """The sum of a bill."""
    return sum((line.usd for line in lines), Decimal(0))


def _quantities(load: Load, plan: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    yield from _kinesis(load, plan)
    yield from _lambda(load, plan)
    yield from _dynamodb(load, plan)
    yield "API Gateway", "lookups", _millions(load.lookups_a_month), "apigateway.request_million"
    polls = round(capacity.QUEUE_POLLS_S * SECONDS_A_MONTH)
    yield "SQS", "polling the dead-letter queue", _millions(polls), "sqs.request_million"
    yield from _watching(load, plan)


def _kinesis(load: Load, plan: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    records = math.ceil(load.events_a_month / plan.packing.events_a_record)
    hours = Decimal(capacity.HOURS_A_MONTH)
    extended_hours = load.retention_hours - FREE_RETENTION_HOURS
    if plan.alternative.stream == PROVISIONED:
        units = records * capacity.put_units(plan.packing.record_bytes)
        yield "Kinesis", f"{plan.shards} shards", plan.shards * hours, "kinesis.shard_hour"
        yield "Kinesis", "PUT payload units", _millions(units), "kinesis.put_unit_million"
        if extended_hours:
            what = f"retention of {load.retention_hours} hours"
            yield "Kinesis", what, plan.shards * hours, "kinesis.extended_retention_shard_hour"
        return
    billed = records * capacity.rounded_to_kb(plan.packing.record_bytes)
    yield "Kinesis", "on-demand stream", hours, "kinesis.stream_hour"
    yield "Kinesis", "data in", _gb(billed), "kinesis.in_gb"
    yield "Kinesis", "data out", _gb(records * plan.packing.record_bytes), "kinesis.out_gb"
    if extended_hours:
        # What lies in the stream at any time beyond its first day, as a share of the month's data.
        kept = _gb(billed) * extended_hours / capacity.HOURS_A_MONTH
        what = f"retention of {load.retention_hours} hours"
        yield "Kinesis", what, kept, "kinesis.extended_retention_gb_month"


def _lambda(load: Load, plan: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    invocations = _invocations(plan)
    memory_mb = plan.alternative.memory_mb
    events_each = load.events_a_month / invocations
    ingest_s = invocations * capacity.handler_s(events_each, memory_mb)
    lookups_s = load.lookups_a_month * LOOKUP_S
    gb = Decimal(memory_mb) / 1024
    yield "Lambda", "ingest, invocations", _millions(invocations), "lambda.request_million"
    yield "Lambda", "ingest, duration", gb * round(ingest_s), "lambda.gb_second"
    yield "Lambda", "API, invocations", _millions(load.lookups_a_month), "lambda.request_million"
    yield "Lambda", "API, duration", gb * round(lookups_s), "lambda.gb_second"


def _dynamodb(load: Load, plan: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    units = load.events_a_month * capacity.write_units(load.event_bytes)
    reads = load.lookups_a_month * Decimal(capacity.read_units(load.events_a_product, load.event_bytes))
    hours = capacity.HOURS_A_MONTH
    if plan.alternative.table == PROVISIONED:
        what = f"{plan.write_units_s:,} write units a second"
        yield "DynamoDB", what, Decimal(plan.write_units_s * hours), "dynamodb.wcu_hour"
        what = f"{plan.read_units_s:,} read units a second"
        yield "DynamoDB", what, Decimal(plan.read_units_s * hours), "dynamodb.rcu_hour"
    else:
        yield "DynamoDB", "write units", _millions(units), "dynamodb.write_unit_million"
        yield "DynamoDB", "read units", _millions(reads), "dynamodb.read_unit_million"
    item = capacity.item_bytes(load.event_bytes) + capacity.STORAGE_OVERHEAD_BYTES
    kept = _gb(load.events_a_month * load.months_kept * item)
    what = f"{load.months_kept} months of events"
    yield "DynamoDB", what, kept, "dynamodb.storage_gb_month"
    yield "DynamoDB", "point-in-time recovery", kept, "dynamodb.pitr_gb_month"


def _watching(load: Load, plan: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    logged = (_invocations(plan) + load.lookups_a_month) * capacity.LOG_BYTES
    yield "CloudWatch", "logs", _gb(logged), "cloudwatch.logs_gb"
    is_capacity_watched = plan.alternative.table == PROVISIONED
    metrics = load.alarm_metrics + (load.capacity_alarm_metrics if is_capacity_watched else 0)
    yield "CloudWatch", "alarms", Decimal(metrics), "cloudwatch.alarm_metric_month"
    yield "CloudWatch", "custom metrics", Decimal(load.custom_metrics), "cloudwatch.metric_month"
    yield "CloudWatch", "dashboards", Decimal(load.dashboards), "cloudwatch.dashboard_month"
    if load.is_traced:
        lookups_s = load.lookups_a_month / SECONDS_A_MONTH
        traces_s = capacity.traces_a_second(plan.invocations_s) + capacity.traces_a_second(lookups_s)
        yield "X-Ray", "traces", _millions(round(traces_s * SECONDS_A_MONTH)), "xray.trace_million"


def _invocations(plan: Design) -> int:
    """Invocations of ingest in a month, an even load."""
    return round(plan.invocations_s * SECONDS_A_MONTH)


def _millions(count: int | Decimal) -> Decimal:
    return Decimal(count) / 1_000_000


def _gb(size: int) -> Decimal:
    return Decimal(size) / GB
