"""The default bill by hand, line by line."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.planning import bill, sizing
from ops.planning.sizing import ON_DEMAND, PROVISIONED, Alternative, MonthlyLoad
from tests.support.billing import FIRST_S, SECONDS, US_EAST_1

DEPLOYED = Alternative(ON_DEMAND, False, ON_DEMAND, 1024)

HOURS = 730
GIB = 1_073_741_824


def bill_of(choice: Alternative, load: MonthlyLoad | None = None) -> dict[str, tuple[float, float]]:
    """Quantity and dollars by what is billed and its price key."""
    load = load or MonthlyLoad()
    lines = bill.bill(load, sizing.design(load, choice), US_EAST_1)
    return {f"{line.what}: {line.price}": (float(line.quantity), float(line.usd)) for line in lines}


def dollars(amount: float) -> object:
    return pytest.approx(amount, abs=0.005)


def test_the_deployed_plan_is_billed_as_the_published_prices_say() -> None:
    billed = bill_of(DEPLOYED)

    # Kinesis on demand: $0.04 a stream-hour, $0.08 a GB in (983 bytes count as 1,024), $0.04 a GB out,
    # $0.10 a GB-month of what is kept from the 25th to the 168th hour.
    gb_in = 20_000_000 * 1024 / GIB
    assert billed.pop("on-demand stream: kinesis.stream_hour") == (730, dollars(29.20))
    assert billed.pop("data in: kinesis.in_gb") == (pytest.approx(gb_in), dollars(19.0735 * 0.08))
    gb_out = 20_000_000 * 983 / GIB
    assert billed.pop("data out: kinesis.out_gb")[1] == dollars(gb_out * 0.04)
    kept = gb_in * (168 - 24) / 730
    assert billed.pop("retention of 168 hours: kinesis.extended_retention_gb_month")[1] == dollars(
        kept * 0.10
    )

    # Lambda: four shards looked at once a second; 1.9026 events are expected in a look, and a look finds
    # none in e^-1.9026 of cases.  An invocation takes 2.5 ms and 0.08 ms an event at one core (1,769 MB), and
    # 10 ms for DynamoDB.
    expected = 20_000_000 / SECONDS / 4
    invocations = round(4 * SECONDS * (1 - math.exp(-expected)))
    assert invocations == pytest.approx(8_943_500, rel=0.001)
    assert billed.pop("ingest, invocations: lambda.request_million")[1] == dollars(invocations / 1e6 * 0.20)
    each_s = (0.0025 + 20_000_000 / invocations * 0.00008) * 1769 / 1024 + 0.010
    gb_seconds = round(invocations * each_s) * 1024 / 1024
    assert billed.pop("ingest, duration: lambda.gb_second")[1] == dollars(gb_seconds * 0.0000166667)
    assert billed.pop("API, invocations: lambda.request_million") == (1, dollars(0.20))
    assert billed.pop("API, duration: lambda.gb_second") == (30_000, dollars(30_000 * 0.0000166667))

    # DynamoDB: one write unit an event at $0.625 a million; a lookup reads ten items of 1 KB, three times
    # 4 KB, at half a unit each; a year of items of 1,024 bytes and 100 of overhead at $0.25, and again at
    # $0.20 for point-in-time recovery.
    assert billed.pop("write units: dynamodb.write_unit_million") == (20, dollars(12.50))
    assert billed.pop("read units: dynamodb.read_unit_million") == (1.5, dollars(0.1875))
    gb_kept = 12 * 20_000_000 * 1124 / GIB
    assert billed.pop("12 months of events: dynamodb.storage_gb_month")[1] == dollars(gb_kept * 0.25)
    assert billed.pop("point-in-time recovery: dynamodb.pitr_gb_month")[1] == dollars(gb_kept * 0.20)

    # The rest: $3.50 a million API calls; five pollers that wait 20 s each at $0.40 a million; 1,500 bytes
    # of log an invocation at $0.50 a GB; alarms by the metrics they look at; traces: the first in a second
    # and 5 % of the rest, for ingest and for the API.
    assert billed.pop("lookups: apigateway.request_million") == (1, dollars(3.50))
    assert billed.pop("polling the dead-letter queue: sqs.request_million") == (
        0.657,
        dollars(0.2628),
    )
    logs_gb = (invocations + 1_000_000) * 1500 / GIB
    assert billed.pop("logs: cloudwatch.logs_gb")[1] == dollars(logs_gb * 0.50)
    alarm_metrics = MonthlyLoad().alarm_metrics
    assert billed.pop("alarms: cloudwatch.alarm_metric_month") == (
        alarm_metrics,
        dollars(alarm_metrics * 0.10),
    )
    custom = MonthlyLoad().custom_metrics
    assert billed.pop("custom metrics: cloudwatch.metric_month") == (custom, dollars(custom * 0.30))
    assert billed.pop("dashboards: cloudwatch.dashboard_month") == (1, dollars(3.00))
    traces = SECONDS * (1 + 0.05 * (invocations / SECONDS - 1)) + 1_000_000
    assert billed.pop("traces: xray.trace_million")[1] == dollars(traces / 1e6 * 5.00)

    assert not billed, "a line that nobody has checked"


def test_provisioned_shards_are_billed_by_the_hour_with_their_retention() -> None:
    # 100,000 and 7.61 a second besides, with 20 % headroom, in the 60 s without the first batch's, and with
    # the second's worth that comes in at once: 2,039.8 records a second, three shards; two by megabytes.
    assert math.ceil((100_000 / (60 - FIRST_S + 1) + 20_000_000 / SECONDS) * 1.2 / 1000) == 3
    billed = bill_of(Alternative(PROVISIONED, False, ON_DEMAND, 1024))

    assert billed["3 shards: kinesis.shard_hour"] == (3 * HOURS, dollars(3 * 730 * 0.015))  # 32.85
    assert billed["PUT payload units: kinesis.put_unit_million"] == (20, dollars(0.28))
    retained = billed["retention of 168 hours: kinesis.extended_retention_shard_hour"]
    assert retained == (3 * HOURS, dollars(3 * 730 * 0.020))  # 43.80


def test_a_provisioned_table_is_billed_for_its_peak() -> None:
    billed = bill_of(Alternative(ON_DEMAND, False, PROVISIONED, 1024))

    # 1,699.81 a second while a burst is stored, and 20 %: 2,040 units, all month.
    assert math.ceil((100_000 / (60 - FIRST_S + 1) + 20_000_000 / SECONDS) * 1.2) == 2040
    assert billed["2,040 write units a second: dynamodb.wcu_hour"] == (
        2040 * HOURS,
        dollars(2040 * 730 * 0.00065),
    )
    # Ten times the average lookup rate: 0.3805 x 1.5 x 10, rounded up.
    assert billed["6 read units a second: dynamodb.rcu_hour"][0] == 6 * HOURS
    # Such a table has an alarm of its own, which looks at four metrics.
    metrics = MonthlyLoad().alarm_metrics + MonthlyLoad().capacity_alarm_metrics
    assert billed["alarms: cloudwatch.alarm_metric_month"] == (metrics, dollars(metrics * 0.10))


def test_a_day_of_retention_costs_nothing_extra() -> None:
    for stream in (ON_DEMAND, PROVISIONED):
        billed = bill_of(Alternative(stream, False, ON_DEMAND, 1024), MonthlyLoad(retention_hours=24))
        assert not [key for key in billed if "retention" in key]


@given(
    st.integers(1, 10**10),
    st.integers(1, 20_000),
    st.integers(1, 10**6),
    st.sampled_from(list(sizing.alternatives())),
)
def test_more_events_or_larger_ones_never_cost_less(
    count: int, size: int, burst: int, choice: Alternative
) -> None:
    def cost(load: MonthlyLoad) -> Decimal:
        return bill.total(bill.bill(load, sizing.design(load, choice), US_EAST_1))

    least = cost(MonthlyLoad(events_per_month=count, event_bytes=size, burst=burst))

    # A fuller batch can save invocations, which cost next to nothing: a cent is allowed for them.
    assert cost(MonthlyLoad(events_per_month=count * 2, event_bytes=size, burst=burst)) >= least - Decimal(
        "0.01"
    )
    if not choice.is_aggregated:  # one more in a record can save a record
        assert cost(
            MonthlyLoad(events_per_month=count, event_bytes=size * 2, burst=burst)
        ) >= least - Decimal("0.01")
