"""The monthly bill of a design, line by line.

It is computed from a load, a design for it and a price list: list prices without free tiers.  Not in the
bill: KMS requests of AWS's own keys, SNS, data out of AWS, the optional archive in S3; dead letters and
quarantine, which are exceptions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ops.output import counted
from ops.planning import capacity
from ops.planning.capacity import GB, SECONDS_PER_MONTH
from ops.planning.prices import PriceList
from ops.planning.sizing import PROVISIONED, Design, MonthlyLoad

#: Duration of a lookup in the API's function.  Measured on a laptop, with DynamoDB's latency added.
LOOKUP_S = 0.03

#: Extended retention costs by shard or GB up to seven days; beyond that other prices hold.
FREE_RETENTION_HOURS, MAX_RETENTION_HOURS = 24, 168


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a bill."""

    service: str
    what: str
    quantity: Decimal
    price: str  # its key in the price list
    usd: Decimal


def bill(load: MonthlyLoad, design: Design, prices: PriceList) -> list[BillLine]:
    """Return the bill of a month.  Raises ConfigurationError when the list lacks a price."""
    lines = list(_quantities(load, design))
    prices.require({key for _, _, _, key in lines})
    return [
        BillLine(service, what, quantity, key, quantity * prices[key].usd)
        for service, what, quantity, key in lines
    ]


def total(lines: list[BillLine]) -> Decimal:
    """Return the sum of a bill."""
    return sum((line.usd for line in lines), Decimal(0))


def _quantities(load: MonthlyLoad, design: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    yield from _kinesis(load, design)
    yield from _lambda(load, design)
    yield from _dynamodb(load, design)
    yield "API Gateway", "lookups", _millions(load.lookups_per_month), "apigateway.request_million"
    polls = round(capacity.QUEUE_POLLS_S * SECONDS_PER_MONTH)
    yield "SQS", "polling the dead-letter queue", _millions(polls), "sqs.request_million"
    yield from _observability(load, design)


def _kinesis(load: MonthlyLoad, design: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    records = math.ceil(load.events_per_month / design.packing.events_per_record)
    hours = Decimal(capacity.HOURS_PER_MONTH)
    extended_hours = load.retention_hours - FREE_RETENTION_HOURS
    if design.alternative.stream == PROVISIONED:
        units = records * capacity.put_units(design.packing.record_bytes)
        yield "Kinesis", counted(design.shards, "shard"), design.shards * hours, "kinesis.shard_hour"
        yield "Kinesis", "PUT payload units", _millions(units), "kinesis.put_unit_million"
        if extended_hours:
            what = f"retention of {load.retention_hours} hours"
            yield "Kinesis", what, design.shards * hours, "kinesis.extended_retention_shard_hour"
        return
    billed = records * capacity.rounded_to_kb(design.packing.record_bytes)
    yield "Kinesis", "on-demand stream", hours, "kinesis.stream_hour"
    yield "Kinesis", "data in", _gb(billed), "kinesis.in_gb"
    yield "Kinesis", "data out", _gb(records * design.packing.record_bytes), "kinesis.out_gb"
    if extended_hours:
        # What the stream holds at any time beyond its first day, as a share of the month's data.
        kept = _gb(billed) * extended_hours / capacity.HOURS_PER_MONTH
        what = f"retention of {load.retention_hours} hours"
        yield "Kinesis", what, kept, "kinesis.extended_retention_gb_month"


def _lambda(load: MonthlyLoad, design: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    invocations = _invocations(design)
    memory_mb = design.alternative.memory_mb
    events_each = load.events_per_month / invocations
    ingest_s = invocations * capacity.handler_s(events_each, memory_mb)
    lookups_s = load.lookups_per_month * LOOKUP_S
    gb = Decimal(memory_mb) / 1024
    yield "Lambda", "ingest, invocations", _millions(invocations), "lambda.request_million"
    yield "Lambda", "ingest, duration", gb * round(ingest_s), "lambda.gb_second"
    yield "Lambda", "API, invocations", _millions(load.lookups_per_month), "lambda.request_million"
    yield "Lambda", "API, duration", gb * round(lookups_s), "lambda.gb_second"


def _dynamodb(load: MonthlyLoad, design: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    units = load.events_per_month * capacity.write_units(load.event_bytes)
    reads = load.lookups_per_month * Decimal(capacity.read_units(load.events_per_product, load.event_bytes))
    hours = capacity.HOURS_PER_MONTH
    if design.alternative.table == PROVISIONED:
        what = f"{counted(design.write_units_s, 'write unit')} a second"
        yield "DynamoDB", what, Decimal(design.write_units_s * hours), "dynamodb.wcu_hour"
        what = f"{counted(design.read_units_s, 'read unit')} a second"
        yield "DynamoDB", what, Decimal(design.read_units_s * hours), "dynamodb.rcu_hour"
    else:
        yield "DynamoDB", "write units", _millions(units), "dynamodb.write_unit_million"
        yield "DynamoDB", "read units", _millions(reads), "dynamodb.read_unit_million"
    item = capacity.item_bytes(load.event_bytes) + capacity.STORAGE_OVERHEAD_BYTES
    kept = _gb(load.events_per_month * load.months_kept * item)
    what = f"{counted(load.months_kept, 'month')} of events"
    yield "DynamoDB", what, kept, "dynamodb.storage_gb_month"
    yield "DynamoDB", "point-in-time recovery", kept, "dynamodb.pitr_gb_month"


def _observability(load: MonthlyLoad, design: Design) -> Iterator[tuple[str, str, Decimal, str]]:
    logged = (_invocations(design) + load.lookups_per_month) * capacity.LOG_BYTES
    yield "CloudWatch", "logs", _gb(logged), "cloudwatch.logs_gb"
    is_capacity_watched = design.alternative.table == PROVISIONED
    metrics = load.alarm_metrics + (load.capacity_alarm_metrics if is_capacity_watched else 0)
    yield "CloudWatch", "alarms", Decimal(metrics), "cloudwatch.alarm_metric_month"
    yield "CloudWatch", "custom metrics", Decimal(load.custom_metrics), "cloudwatch.metric_month"
    yield "CloudWatch", "dashboards", Decimal(load.dashboards), "cloudwatch.dashboard_month"
    if load.is_traced:
        lookups_s = load.lookups_per_month / SECONDS_PER_MONTH
        traces_s = capacity.traces_per_second(design.invocations_s) + capacity.traces_per_second(lookups_s)
        yield "X-Ray", "traces", _millions(round(traces_s * SECONDS_PER_MONTH)), "xray.trace_million"


def _invocations(design: Design) -> int:
    """Return the invocations of ingest per month under an even load."""
    return round(design.invocations_s * SECONDS_PER_MONTH)


def _millions(count: int | Decimal) -> Decimal:
    return Decimal(count) / 1_000_000


def _gb(size: int) -> Decimal:
    return Decimal(size) / GB
