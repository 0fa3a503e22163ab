"""Alarms, dashboard and saved queries: what they look at exists, and what they say is written down."""

import json
import re
from typing import Any

import pytest

from chalicelib.tables import cases
from chalicelib.telemetry import logs, metrics
from cli.paths import ROOT
from infra import functions, template
from ops.deploy import policies

#: Metrics that AWS emits, by namespace, with the dimensions under which it does so.  Sources: the services'
#: pages on monitoring with CloudWatch ("Kinesis Data Streams metrics", "Types of metrics for Lambda
#: functions", "DynamoDB metrics and dimensions", "Available CloudWatch metrics for Amazon SQS", "Amazon API
#: Gateway dimensions and metrics", "CloudWatch Logs metrics").
OF_AWS = {
    "AWS/Kinesis": (
        {"StreamName"},
        {"IncomingRecords", "IncomingBytes", "GetRecords.Bytes", "WriteProvisionedThroughputExceeded"},
    ),
    "AWS/Lambda": ({"FunctionName"}, {"IteratorAge", "Invocations", "Errors", "Throttles", "Duration"}),
    "AWS/DynamoDB": (
        {"TableName"},
        {
            "ReadThrottleEvents",
            "WriteThrottleEvents",
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ProvisionedReadCapacityUnits",
            "ProvisionedWriteCapacityUnits",
        },
    ),
    "AWS/SQS": (
        {"QueueName"},
        {
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateAgeOfOldestMessage",
        },
    ),
    "AWS/ApiGateway": ({"ApiName", "Stage"}, {"Count", "Latency", "4XXError", "5XXError"}),
    "AWS/Logs": ({"LogGroupName"}, {"IncomingBytes"}),
    metrics.NAMESPACE: ({"service"}, set(metrics.NAMES)),
}

OPERATING = (ROOT / "docs" / "operating.md").read_text()

RESOURCES: dict[str, Any] = template.read()["Resources"]
ALARMS = {name: it["Properties"] for name, it in RESOURCES.items() if it["Type"] == "AWS::CloudWatch::Alarm"}
WIDGETS = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::ToJsonString"]["widgets"]


def watched() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Every metric that an alarm or a widget refers to: who, namespace, name, dimensions."""
    found = []
    for name, alarm in ALARMS.items():
        asked = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        for metric in asked or [alarm]:
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            found.append((name, metric["Namespace"], metric["MetricName"], dimensions))
    for widget in WIDGETS:
        for metric in widget["properties"].get("metrics", []):
            named = metric[:-1] if "label" in metric[-1] else metric
            dimensions = dict(zip(named[2::2], named[3::2], strict=True))
            found.append((widget["properties"]["title"], named[0], named[1], dimensions))
    return found


@pytest.mark.parametrize(("who", "namespace", "name", "dimensions"), watched())
def test_what_is_watched_is_really_emitted(who: str, namespace: str, name: str, dimensions: Any) -> None:
    expected_dimensions, names = OF_AWS[namespace]

    assert name in names
    assert dimensions.keys() == expected_dimensions


def test_functions_are_watched_under_their_real_names() -> None:
    names = {
        value["Fn::Sub"].replace("${AppName}-${Stage}", "lifecycle-prod")
        for _, namespace, _, dimensions in watched()
        if namespace == "AWS/Lambda"
        for value in dimensions.values()
    }

    assert names == {policies.function_name(function, "prod") for function in policies.TABLE}


def test_expressions_use_the_metrics_they_are_given() -> None:
    for name, alarm in ALARMS.items():
        if "Metrics" not in alarm:
            continue
        verdict, *asked = alarm["Metrics"]
        expression = json.dumps(verdict["Expression"])
        used = {each["Id"] for each in asked if re.search(rf"\b{each['Id']}\b", expression)}
        assert used == {each["Id"] for each in asked} or "METRICS()" in expression, name
        assert all(each["ReturnData"] is False for each in asked), name


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {name for _, namespace, name, _ in watched() if namespace == metrics.NAMESPACE}

    assert shown == metrics.NAMES - {"TriageStored"}  # a triage that works is nobody's concern


def test_every_reason_for_quarantine_is_counted_by_name() -> None:
    raised = re.compile(
        r'(?:InvalidEventError|RefusedItemError|RecordError|__init__)\(\s*"(\w+)"'
        r'|reason="(\w+)"|"(handler_error)"'
    )
    found = {
        next(filter(None, match.groups()))
        for path in (ROOT / "chalicelib").rglob("*.py")
        for match in raised.finditer(path.read_text())
    }
    found |= set(cases.WITHOUT_RECORD)

    assert found == {
        *metrics.REASONS,
        "expired",
    }  # `expired` is a record that is not there: Expired counts it


def test_duration_alarms_ring_at_half_of_the_time_out() -> None:
    of = functions.properties("prod")

    assert ALARMS["ProcessDurationAlarm"]["Threshold"] == of["ProcessLifecycle"]["Timeout"] * 1000 / 2
    assert ALARMS["TriageDurationAlarm"]["Threshold"] == of["TriageDeadLetters"]["Timeout"] * 1000 / 2


def test_every_alarm_tells_somebody_and_where_to_read_what_to_do() -> None:
    for name, alarm in ALARMS.items():
        slug = alarm["AlarmName"]["Fn::Sub"].removeprefix("${AppName}-${Stage}-")
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["AlarmDescription"].endswith(f"See docs/operating.md, {slug}."), name
        assert re.search(rf"^#+ {re.escape(slug)}$", OPERATING, re.MULTILINE), slug


def test_every_alarm_s_section_says_what_why_where_what_to_do_and_until_when() -> None:
    sections = re.findall(
        r"^## ([a-z0-9-]+)\n(.*?)(?=^## |\Z)", OPERATING.partition("# The alarms\n")[2], re.M | re.S
    )

    assert len(sections) == len(ALARMS)
    for name, text in sections:
        assert re.match(r"\n\*[A-Z][^*]+\*", text), f"{name} does not begin with what it means"
        labels = re.findall(r"^\*\*([A-Z][a-z ]+):\*\* \S", text, re.M)
        assert labels == ["Why it matters", "See", "Do", "Over"], name


def test_saved_queries_are_explained_and_what_is_named_is_saved() -> None:
    saved = {
        it["Properties"]["Name"]["Fn::Sub"].removeprefix("${AppName}/${Stage}/")
        for it in RESOURCES.values()
        if it["Type"] == "AWS::Logs::QueryDefinition"
    }

    assert set(re.findall(r"^\| \*(.+?)\* \|", OPERATING, re.M)) == saved


def test_saved_queries_go_by_kinds_that_lines_have_and_never_by_their_prose() -> None:
    queries = [
        it["Properties"]["QueryString"]
        for it in RESOURCES.values()
        if it["Type"] == "AWS::Logs::QueryDefinition"
    ]
    written = set(re.findall(r'"kind": "(\w+)"', (ROOT / "chalicelib" / "telemetry" / "logs.py").read_text()))

    assert {kind for query in queries for kind in re.findall(r'kind = "(\w+)"', query)} <= written
    assert not [query for query in queries if re.search(r"(?<!@)\bmessage (like|=)", query)]
    assert written == set(re.findall(r"^    (\w+) ", str(logs.__doc__), re.M))
    assert all(f"`{kind}`" in OPERATING for kind in written)


def test_late_shards_asks_for_what_a_batch_s_line_has() -> None:
    query = RESOURCES["LateShardsQuery"]["Properties"]["QueryString"]
    told = (ROOT / "chalicelib" / "telemetry" / "logs.py").read_text().partition("def batch_done")[2]

    asked = {"".join(each) for each in re.findall(r"(?:max|sum)\((\w+)\)| by (\w+)$", query, re.M)}
    assert asked == {"oldest_ms", "records", "throttled_requests", "seconds", "shard_id"}
    assert all(f'"{field}": ' in told for field in asked)


def test_the_dashboard_answers_in_the_order_of_an_operators_questions() -> None:
    questions = [
        widget["properties"]["markdown"].removeprefix("## ")
        for widget in sorted(WIDGETS, key=lambda widget: widget["y"])
        if widget["type"] == "text"
    ]

    assert questions == [
        "Are events flowing?",
        "How late are they?",
        "What fails?",
        "What waits for a human?",
        "What does it cost?",
    ]


def test_the_alarm_list_of_the_dashboard_is_complete() -> None:
    listed = next(widget for widget in WIDGETS if widget["type"] == "alarm")["properties"]["alarms"]
    named = {each["Fn::GetAtt"][0] for each in listed}

    # An alarm that not every stack has cannot stand in it.
    assert named == {name for name in ALARMS if RESOURCES[name]["Condition"] == "IsWatched"}
