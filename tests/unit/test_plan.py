"""`ops plan`: units and shards exact, the default bill by hand, prices with their sources."""

import argparse
import itertools
import json
import math
import random
import re
import statistics
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import yaml
from aws_kinesis_agg.aggregator import RecordAggregator
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import events, history
from chalicelib.errors import ConfigurationError
from chalicelib.metrics import NAMES
from ops import bill, capacity, plan, prices, scenario
from ops.bill import ON_DEMAND, PROVISIONED, Alternative, Load
from ops.output import CommandError
from ops.prices import PriceList
from ops.scenario import Settings
from ops.simulate import handler_times
from ops.simulation import simulate
from producer.lives import lives

ROOT = Path(__file__).parents[2]
US_EAST_1 = PriceList("us-east-1")
DEPLOYED = Alternative(ON_DEMAND, False, ON_DEMAND, 1024)


def bill_of(choice: Alternative, load: Load | None = None) -> dict[str, tuple[float, float]]:
    """Quantity and dollars by what is billed and its price key."""
    load = load or Load()
    lines = bill.bill(load, bill.design(load, choice), US_EAST_1)
    return {f"{line.what}: {line.price}": (float(line.quantity), float(line.usd)) for line in lines}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m ops")
    plan.add(top.add_subparsers(required=True))
    return top


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    args = parser().parse_args(["plan", *argv])
    code = args.run(args)
    return code, capsys.readouterr().out


# --- the default bill, by hand ---------------------------------------------------------------------------

HOURS = 730
SECONDS = 2_628_000  # 730 hours
RECORD = 983  # 972 bytes of event and 11 of key
GIB = 1_073_741_824


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
    alarm_metrics = Load().alarm_metrics
    assert billed.pop("alarms: cloudwatch.alarm_metric_month") == (
        alarm_metrics,
        dollars(alarm_metrics * 0.10),
    )
    custom = Load().custom_metrics
    assert billed.pop("custom metrics: cloudwatch.metric_month") == (custom, dollars(custom * 0.30))
    assert billed.pop("dashboards: cloudwatch.dashboard_month") == (1, dollars(3.00))
    traces = SECONDS * (1 + 0.05 * (invocations / SECONDS - 1)) + 1_000_000
    assert billed.pop("traces: xray.trace_million")[1] == dollars(traces / 1e6 * 5.00)

    assert not billed, "a line that nobody has checked"


#: A poll, the start of a sandbox, and a batch of 500 at 1,024 MB.
FIRST_S = 1 + 0.8 + (0.0025 + 500 * 0.00008) * 1769 / 1024 + 3 * 0.010


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
    metrics = Load().alarm_metrics + Load().capacity_alarm_metrics
    assert billed["alarms: cloudwatch.alarm_metric_month"] == (metrics, dollars(metrics * 0.10))


def test_a_day_of_retention_costs_nothing_extra() -> None:
    for stream in (ON_DEMAND, PROVISIONED):
        billed = bill_of(Alternative(stream, False, ON_DEMAND, 1024), Load(retention_hours=24))
        assert not [key for key in billed if "retention" in key]


# --- units and shards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "units"), [(1, 1), (25_600, 1), (25_601, 2), (51_200, 2), (1_048_576, 41)])
def test_payload_units_are_25_kb_each(size: int, units: int) -> None:
    assert capacity.put_units(size) == units


@pytest.mark.parametrize(("event", "units"), [(300, 1), (972, 1), (973, 2), (1996, 2), (1997, 3)])
def test_write_units_are_of_the_item_which_is_larger_than_the_event(event: int, units: int) -> None:
    assert capacity.write_units(event) == units


def test_what_an_item_weighs_more_than_its_event_is_what_real_ones_weigh() -> None:
    differences = []
    for data in lives(500, 50, 7, datetime(2026, 11, 20, tzinfo=timezone.utc)):
        item = history.to_item(events.decode(data), 1_795_000_000_000)
        fields: dict[str, dict[str, str]] = msgspec.to_builtins(item)
        size = sum(len(name) + value_bytes(value) for name, value in fields.items())
        differences.append(size - len(data))

    assert statistics.median(differences) == capacity.ITEM_OVERHEAD_BYTES


def value_bytes(value: dict[str, str]) -> int:
    """As DynamoDB counts: UTF-8 of a string; of a number a byte for two digits, and one."""
    return len(value["S"].encode()) if "S" in value else (len(value["N"]) + 1) // 2 + 1


@pytest.mark.parametrize("size", [200, 300, 972, 5000])
def test_aggregated_records_are_as_large_as_the_library_makes_them(size: int) -> None:
    packing = capacity.aggregated(size)
    aggregator = RecordAggregator()
    for number in range(packing.events_a_record):
        assert aggregator.add_user_record(f"SN-{number:08d}", b"x" * size) is None
    key, _, data = aggregator.clear_and_get().get_contents()

    assert len(key) + len(data) == pytest.approx(packing.record_bytes, rel=0.01)
    assert packing.record_bytes <= capacity.PUT_UNIT_BYTES


def test_an_event_too_large_for_company_goes_alone() -> None:
    assert capacity.aggregated(20_000) == capacity.one_by_one(20_000)


@pytest.mark.parametrize(
    ("events_s", "size", "shards"),
    [
        (833, 972, 1),  # 999.6 with headroom
        (834, 972, 2),  # 1,000.8
        (100, 8_727, 1),  # 100 x 8,738 x 1.2 = 1,048,560 of 1,048,576 bytes
        (100, 8_728, 2),
    ],
)
def test_shards_are_counted_by_records_and_by_bytes_with_a_fifth_left_free(
    events_s: int, size: int, shards: int
) -> None:
    assert capacity.shards_for(events_s, capacity.one_by_one(size)) == shards


def test_a_batch_ends_at_lambdas_limit_of_six_megabytes() -> None:
    assert capacity.records_an_invocation(500, 1_000) == 500
    assert capacity.records_an_invocation(500, 24_881) == 6 * 1_048_576 // (33_176 + 532)


# --- alternatives ------------------------------------------------------------------------------------------


def test_the_cheapest_that_meets_the_target_stands_first() -> None:
    compared = plan.compare(Load(burst=400_000), US_EAST_1)
    totals = [(not design.is_enough, bill.total(lines)) for design, lines in compared]

    assert totals == sorted(totals)
    assert compared[0][0].is_enough
    assert not compared[-1][0].is_enough, "a new on-demand stream cannot take 6,667 a second"


def test_a_burst_that_a_new_table_cannot_take_asks_for_warm_throughput() -> None:
    design = bill.design(Load(burst=1_000_000), Alternative(PROVISIONED, False, ON_DEMAND, 1024))

    # (1,000,000 / 59.0967 + 7.61) x 1.2, rounded up: 60 s without the first batch's, with the one at once.
    assert design.write_units_s == math.ceil((1e6 / (61 - FIRST_S) + 20_000_000 / SECONDS) * 1.2) == 20_315
    assert "20,315" in design.remark
    assert design.is_enough


@given(
    st.integers(1, 10**10),
    st.integers(1, 20_000),
    st.integers(1, 10**6),
    st.sampled_from(list(bill.alternatives())),
)
def test_more_events_or_larger_ones_never_cost_less(
    count: int, size: int, burst: int, choice: Alternative
) -> None:
    def cost(load: Load) -> Decimal:
        return bill.total(bill.bill(load, bill.design(load, choice), US_EAST_1))

    least = cost(Load(events_a_month=count, event_bytes=size, burst=burst))

    # A fuller batch can save invocations, which cost next to nothing: a cent is allowed for them.
    assert cost(Load(events_a_month=count * 2, event_bytes=size, burst=burst)) >= least - Decimal("0.01")
    if not choice.is_aggregated:  # one more in a record can save a record
        assert cost(Load(events_a_month=count, event_bytes=size * 2, burst=burst)) >= least - Decimal("0.01")


@given(st.sampled_from(list(bill.alternatives())), st.integers(1_000, 10**7), st.integers(1, 3600))
def test_a_sized_design_stores_the_burst_in_time_or_says_why_not(
    choice: Alternative, burst: int, within_s: int
) -> None:
    design = bill.design(Load(burst=burst, within_s=within_s), choice)

    assert design.is_enough == (not design.shortcomings)
    if design.is_enough:
        assert design.drain_s <= within_s


@given(
    st.sampled_from([each for each in bill.alternatives() if each.stream == PROVISIONED]).filter(
        lambda choice: choice.memory_mb > 512
    )
)
def test_a_provisioned_stream_stores_a_burst_in_any_time_from_two_and_a_half_seconds(
    choice: Alternative,
) -> None:
    for within_s in (2.5, 3, 4, 5, 6, 6.3, 7, 8, 10, 15, 20, 30, 60):
        design = bill.design(Load(within_s=within_s), choice)

        assert design.is_enough
        assert design.drain_s <= within_s


def test_more_time_never_needs_more() -> None:
    choice = Alternative(PROVISIONED, False, PROVISIONED, 1024)
    designs = [bill.design(Load(within_s=tenths / 10), choice) for tenths in range(20, 900)]

    assert all(design.is_enough for design in designs)
    for less, more in itertools.pairwise(designs):
        assert (more.shards, more.write_units_s) <= (less.shards, less.write_units_s)


@pytest.mark.parametrize("producers", [4, 8])
@pytest.mark.parametrize("within_s", [2, 2.5, 3, 4, 5, 6, 6.3, 7, 8, 10, 12, 15, 20, 30, 60])
def test_what_is_planned_stores_the_burst_in_time_when_it_is_simulated(
    within_s: float, producers: int
) -> None:
    design = bill.design(Load(within_s=within_s), Alternative(PROVISIONED, False, ON_DEMAND, 1024))
    handler_s, record_s = handler_times(1024)
    pipeline = Settings(
        shards=design.shards,
        parallelization=design.parallelization,
        handler_s=handler_s,
        record_s=record_s,
        cold_start_s=capacity.COLD_START_S,
        write_units_s=design.write_units_s,
    )
    result = simulate(pipeline, scenario.Load(burst=Load().burst, producers=producers), random.Random(1))

    assert design.is_enough
    assert result.stored == Load().burst
    assert result.drained_s <= within_s


def test_what_the_first_batch_alone_takes_longer_than_is_said() -> None:
    design = bill.design(Load(within_s=1.5), Alternative(PROVISIONED, False, ON_DEMAND, 1024))

    assert design.shortcomings == ("reading and storing the first batch alone take 1.9 s",)


def test_a_burst_smaller_than_a_batch_does_not_wait_for_a_full_one() -> None:
    slow = Alternative(PROVISIONED, False, ON_DEMAND, 512)

    assert not bill.design(Load(burst=10_000, within_s=1.9), slow).is_enough
    assert bill.design(Load(burst=10, within_s=1.9), slow).is_enough


# --- what is deployed --------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, whose values are kept as they stand."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _tagged)


def test_the_defaults_are_those_of_the_deployed_description() -> None:
    template = yaml.load((ROOT / "infra" / "resources.yaml").read_text(), _Loader)  # a SafeLoader
    parameters = template["Parameters"]
    alarms = [each for each in template["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    dashboards = [
        each for each in template["Resources"].values() if each["Type"] == "AWS::CloudWatch::Dashboard"
    ]
    metrics: dict[str, int] = {}
    for each in alarms:
        looked_at = each["Properties"].get("Metrics", [{"MetricStat": 1}])
        condition = each["Condition"]
        metrics[condition] = metrics.get(condition, 0) + sum("MetricStat" in one for one in looked_at)
    load = Load()

    assert parameters["StreamMode"]["Default"] == "ON_DEMAND"
    assert parameters["TableMode"]["Default"] == "PAY_PER_REQUEST"
    assert load.retention_hours == parameters["RetentionHours"]["Default"]
    assert template["Resources"]["History"]["Properties"]["PointInTimeRecoverySpecification"]
    billed = {"IsWatched": load.alarm_metrics, "IsCapacityWatched": load.capacity_alarm_metrics}
    assert billed == metrics, "infra/ has other alarms: change the defaults of bill.Load"
    assert load.custom_metrics == len(NAMES)
    assert load.dashboards == len(dashboards)


def test_the_deployed_function_is_one_of_the_alternatives() -> None:
    from app import app
    from local import mapping_settings

    settings = mapping_settings.for_kinesis(app, "process_lifecycle")
    deployed = plan.deployed_alternative()

    assert (deployed.memory_mb, deployed.batch_size) == (settings.memory_mb, settings.batch_size)
    assert deployed in set(bill.alternatives())


# --- the price list ----------------------------------------------------------------------------------------


def test_every_price_names_a_page_and_the_day_it_was_read() -> None:
    listed = json.loads(prices.FILE.read_text())

    for region in listed["regions"].values():
        for key, price in region.items():
            source = listed["sources"][price["source"]]
            assert source["url"].startswith("https://"), key
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", source["read"]), key
            assert source["as_of"], key
    assert {price["source"] for region in listed["regions"].values() for price in region.values()} == set(
        listed["sources"]
    ), "a source that no price names"


def test_a_region_without_a_price_says_which_and_what_to_do() -> None:
    ireland = PriceList("eu-west-1")
    with pytest.raises(ConfigurationError, match=r"eu-west-1: .*kinesis\.stream_hour.*--prices"):
        plan.compare(Load(), ireland)
    with pytest.raises(ConfigurationError, match="no prices of region 'mars-1'"):
        PriceList("mars-1")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "is not a price list"),
        ('{"regions": {}}', "is not a price list"),
        (None, "No such file"),
    ],
)
def test_an_unusable_price_list_is_one_sentence(tmp_path: Path, text: str | None, fault: str) -> None:
    file = tmp_path / "prices.json"
    if text is not None:
        file.write_text(text)
    args = parser().parse_args(["plan", "--prices", str(file)])

    with pytest.raises(CommandError, match=fault) as caught:
        args.run(args)

    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_price_without_its_source_is_refused(tmp_path: Path) -> None:
    listed = json.loads(prices.FILE.read_text())
    listed["regions"]["us-east-1"]["kinesis.in_gb"]["source"] = "hearsay"
    (tmp_path / "prices.json").write_text(json.dumps(listed))

    with pytest.raises(ConfigurationError, match=r"kinesis\.in_gb names a source that is not there"):
        PriceList("us-east-1", tmp_path / "prices.json")


def spoilt(tmp_path: Path, *where: str, value: object) -> Path:
    """Our price list with one value replaced."""
    listed = json.loads(prices.FILE.read_text())
    inner = listed
    for key in where[:-1]:
        inner = inner[key]
    assert where[-1] in inner
    inner[where[-1]] = value
    (tmp_path / "prices.json").write_text(json.dumps(listed))
    return tmp_path / "prices.json"


@pytest.mark.parametrize("usd", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+999999", "1E+6", "-0.01"])
def test_a_price_that_none_can_be_is_refused(tmp_path: Path, usd: str) -> None:
    file = spoilt(tmp_path, "regions", "us-east-1", "kinesis.in_gb", "usd", value=usd)

    args = parser().parse_args(["plan", "--prices", str(file)])

    with pytest.raises(CommandError, match=r"kinesis\.in_gb: expected a price from 0 to below 1,000,000"):
        args.run(args)


@pytest.mark.parametrize(
    ("where", "value", "fault"),
    [
        (("currency",), "EUR", "expected prices in USD, got 'EUR'"),
        (("hours_a_month",), 720, "expected hours_a_month 730"),
        (("sources", "sqs-2026", "as_of"), "", "is not a price list"),
        (("sources", "sqs-2026", "read"), " ", "is not a price list"),
        (("compiled",), "", "is not a price list"),
    ],
)
def test_a_price_list_that_would_be_misread_is_refused(
    tmp_path: Path, where: tuple[str, ...], value: object, fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        PriceList("us-east-1", spoilt(tmp_path, *where, value=value))


# --- the command -------------------------------------------------------------------------------------------


def test_the_examples_of_the_help_are_commands_that_exist() -> None:
    commands = re.findall(r"^  python -m ops (.+)$", plan.EXAMPLES, re.MULTILINE)

    assert len(commands) >= 3
    for command in commands:
        parser().parse_args(command.split())


def test_json_holds_what_the_table_shows_with_a_source_for_every_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = run(capsys, "--all", "--json")
    answer = json.loads(out)
    cheapest = answer["alternatives"][0]

    assert code == 0
    assert len(answer["alternatives"]) == 24
    assert sum(each["is_deployed"] for each in answer["alternatives"]) == 1
    assert cheapest["usd_a_month"] == pytest.approx(sum(line["usd"] for line in cheapest["bill"]), abs=0.2)
    assert all(line["source"].startswith("https://") for line in cheapest["bill"])


def test_the_table_names_the_deployed_alternative_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)

    assert code == 0
    assert "as described in infra/" in out
    assert "20,000,000 events a month of 972 bytes" in out
    assert "x 0.625 a million write request units" in out


def test_a_target_that_nothing_meets_is_a_failed_verdict_with_reasons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = run(capsys, "--burst", "100000", "--within", "1.5", "--all", "--json")

    assert code == 1
    assert all(each["shortcomings"] for each in json.loads(out)["alternatives"])


@pytest.mark.parametrize(
    "argv",
    [
        ["--events", "0"],
        ["--bytes", "2000000"],
        ["--within", "x"],
        ["--retention", "200"],
        ["--within", "nan"],
        ["--events", "1000000000000000000"],
        ["--events", "0" * 18 + "1"],
        ["--burst", "9" * 5000],
    ],
)
def test_a_bad_number_is_a_usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["plan", *argv])

    assert caught.value.code == 2


def test_an_event_just_over_a_write_unit_is_pointed_out() -> None:
    assert any("52 bytes less" in note for note in plan.notes(Load(event_bytes=1024)))
    assert not any("write unit" in note for note in plan.notes(Load(event_bytes=972)))
