"""`ops plan`, the command: what it compares is what is deployed, and what it prints adds up."""

import json
import re

import pytest

from chalicelib.tables import items
from chalicelib.telemetry.metrics import NAMES
from cli.paths import ROOT
from infra import template
from ops.__main__ import parser
from ops.planning import capacity, comparison, plan, sizing
from ops.planning.sizing import MonthlyLoad


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    args = parser().parse_args(["plan", *argv])
    code = args.run(args)
    return code, capsys.readouterr().out


def test_the_defaults_are_those_of_the_deployed_description() -> None:
    resources, parameters = template.read()["Resources"], template.read()["Parameters"]
    alarms = [each for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    dashboards = [each for each in resources.values() if each["Type"] == "AWS::CloudWatch::Dashboard"]
    metrics: dict[str, int] = {}
    for each in alarms:
        looked_at = each["Properties"].get("Metrics", [{"MetricStat": 1}])
        condition = each["Condition"]
        metrics[condition] = metrics.get(condition, 0) + sum("MetricStat" in one for one in looked_at)
    load = MonthlyLoad()

    assert parameters["StreamMode"]["Default"] == "ON_DEMAND"
    assert parameters["TableMode"]["Default"] == "PAY_PER_REQUEST"
    assert load.retention_hours == parameters["RetentionHours"]["Default"]
    assert resources["History"]["Properties"]["PointInTimeRecoverySpecification"]
    billed = {"IsWatched": load.alarm_metrics, "IsCapacityWatched": load.capacity_alarm_metrics}
    assert billed == metrics, "infra/ has other alarms: change the defaults of sizing.Load"
    assert load.custom_metrics == len(NAMES)
    assert load.dashboards == len(dashboards)


def test_the_deployed_function_is_one_of_the_alternatives() -> None:
    from app import app
    from local.event_sources.settings import kinesis_settings

    settings = kinesis_settings(app)
    deployed = plan.deployed_alternative()

    assert (deployed.memory_mb, deployed.batch_size) == (settings.memory_mb, settings.batch_size)
    assert deployed in set(sizing.alternatives())


def test_every_example_of_the_help_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    examples = re.findall(r"^  python -m ops plan\b(.*)$", plan.EXAMPLES, re.MULTILINE)

    assert len(examples) == 4
    for example in examples:
        code, out = run(capsys, *example.split())
        assert (code, "Kinesis" in out) == (0, True), example


def test_json_holds_what_the_table_shows_with_a_source_for_every_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = run(capsys, "--all", "--json")
    answer = json.loads(out)
    cheapest = answer["alternatives"][0]

    assert code == 0
    assert len(answer["alternatives"]) == 24
    assert sum(each["is_deployed"] for each in answer["alternatives"]) == 1
    assert cheapest["usd_per_month"] == pytest.approx(sum(line["usd"] for line in cheapest["bill"]), abs=0.2)
    assert all(line["source"].startswith("https://") for line in cheapest["bill"])


def test_the_table_names_the_deployed_alternative_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)

    assert code == 0
    assert re.search(r"on-demand  4,000 +1\n.*\n\n1: as described in infra/\n", out, re.DOTALL)
    assert "20,000,000 events a month of 972 bytes" in out
    assert "x 0.625 per million write request units" in out


def test_a_row_of_the_table_is_all_that_an_operator_sets_up(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--burst", "1000000", "--all")
    heading, *rows = out.split("\n\n")[1].splitlines()
    answer = json.loads(run(capsys, "--burst", "1000000", "--all", "--json")[1])

    assert code == 0
    assert all(len(row) <= 132 for row in rows)
    assert re.split(" {2,}", heading) == ["USD/month", *comparison.COLUMNS, "notes"]
    for row, each in zip(rows, answer["alternatives"], strict=True):
        cells = re.split(r" {2,}", row)
        assert cells[3:11] == [
            str(each["shards"]),
            str(each["events_per_record"]),
            str(each["batch_size"]),
            str(each["parallelization"]),
            str(each["concurrency"]),
            f"{each['memory_mb']} MB",
            each["table"],
            f"{each['write_units_s']:,}",
        ]


def test_one_of_a_kind_is_no_plural_and_seconds_below_ten_have_a_decimal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = "--events 1 --bytes 1 --burst 10 --within 1.9 --months 1 --all"
    _, out = run(capsys, *tiny.split())

    assert "1 event a month of 1 byte (0.0 a second, 1 write unit each)" in out
    assert " 1.8 s " in out
    assert "1 month of events" in out
    assert not re.search(r"\b1 (shards|events|months|bytes|write units) ", out)
    assert "per on-demand stream-hour" in run(capsys)[1]


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
        ["--bytes", "409549"],
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


@pytest.mark.parametrize("command", ["plan", "simulate"])
def test_an_event_that_no_item_can_hold_is_refused_and_says_why(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parser().parse_args([command, "--bytes", "409548"])
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--bytes", "409549"])

    assert "a DynamoDB item holds 409,600 bytes, 52 of which are not the event's" in capsys.readouterr().err
    assert capacity.MAX_ITEM_BYTES == items.MAX_ITEM_BYTES


def test_an_event_just_over_a_write_unit_is_pointed_out() -> None:
    assert any("52 bytes less" in note for note in comparison.notes(MonthlyLoad(event_bytes=1024)))
    assert not any("write unit" in note for note in comparison.notes(MonthlyLoad(event_bytes=972)))
