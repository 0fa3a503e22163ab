"""Tables of the documents that follow from the code: `make docs` writes them, `make check` compares them.

cog runs the calls in the documents' comments, such as `[[[cog figures.bill() ]]]`, and puts what they print
below.  Nothing else imports this module, and it does not ship.
"""

import contextlib
import io
import json
import re
from collections.abc import Iterable
from typing import Any

from chalicelib.api import capture_body, queries, views, walk
from chalicelib.domain import lifecycle
from chalicelib.domain.events import MAX_DEPTH
from chalicelib.tables.items import MAX_ITEM_BYTES
from cli.stage import CONFIG
from infra import template
from ops.__main__ import main as ops
from ops.planning import capacity
from ops.planning.sizing import MonthlyLoad

_COMPARISONS = {"GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": "≥"}


def alarms() -> None:
    """When each alarm of the data stack rings, in the order of the template."""
    resources = template.read()["Resources"].values()
    found = [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    _table(
        ("alarm", "rings when", "in"),
        ((f"[{_name(each)}](#{_name(each)})", _condition(each), _window(each)) for each in found),
    )


def api_limits() -> None:
    """How much the API reads and answers."""
    compressed = json.loads(CONFIG.read_text())["minimum_compression_size"]
    _table(
        ("limit", ""),
        (
            ("events of a page, unless `limit` is given", f"{queries.DEFAULT_LIMIT:,}"),
            ("events of a page, at most", f"{queries.MAX_LIMIT:,}"),
            ("events of a product's own answer", f"{views.NEWEST:,}"),
            ("read in search of a status", f"{walk.MAX_WALK} MB"),
            ("answers compressed by the gateway", f"from {compressed:,} bytes"),
        ),
    )


def capture_limits() -> None:
    """How much `POST /events` takes."""
    _table(
        ("limit", ""),
        (
            ("a body, as received", f"{capture_body.MAX_RECEIVED_BYTES:,} bytes"),
            ("a body, unpacked", f"{capture_body.MAX_UNPACKED_BYTES:,} bytes"),
            ("events of a body", f"{capture_body.MAX_EVENTS:,}"),
            ("an event's item", f"{MAX_ITEM_BYTES:,} bytes"),
            ("nesting", f"{MAX_DEPTH:,}"),
        ),
    )


def event_types() -> None:
    """Known types, the status that each gives, and what may follow it."""
    _table(
        ("type", "gives the status", "may follow the status"),
        (
            (
                f"`{type_}`",
                f"`{kind.gives}`" if kind.gives else "",
                ", ".join(sorted(kind.follows)) if kind.follows is not None else "anything",
            )
            for type_, kind in lifecycle.KINDS.items()
        ),
    )


def bill() -> None:
    """`ops plan`: the cheapest alternative, the one that infra/ describes, and the bill of the first."""
    alternatives, _, lines = (
        _answer("plan").partition("note:")[0].partition("the first of them, line by line:\n")
    )
    shown, _, remarks = alternatives[alternatives.index("USD/month") :].partition("\n\n")
    heading, first, *rows = shown.splitlines()
    [(number, described)] = re.findall(r"^(\d+)(: as described in infra/)$", remarks, re.M)
    deployed = [row for row in (first, *rows) if number in re.split(r"[ ,]+", row[heading.index("notes") :])]
    _code([*dict.fromkeys([heading, first, *deployed]), "", number + described, "", *lines.splitlines()])


def planning_load() -> None:
    """The load that `ops plan` and `ops simulate` take unless told otherwise."""
    load = MonthlyLoad()
    _table(
        ("load, unless given", ""),
        (
            ("events a month", f"{load.events_per_month:,}"),
            ("events of a burst", f"{load.burst:,}"),
            ("a burst is stored within", f"{load.within_s:g} s"),
        ),
    )


def assumptions() -> None:
    """What the arithmetic of `ops plan` takes for granted."""
    _table(
        ("taken for granted", ""),
        (
            ("an item is larger than its event by", f"{capacity.ITEM_OVERHEAD_BYTES} bytes"),
            ("the largest event", f"{capacity.MAX_EVENT_BYTES:,} bytes"),
            ("DynamoDB answers a write after", f"{capacity.WRITE_LATENCY_S * 1000:g} ms"),
            ("kept free of what a burst may take", f"{capacity.HEADROOM:.0%}"),
            ("a month", f"{capacity.HOURS_PER_MONTH} hours"),
        ),
    )


def quotas() -> None:
    """AWS's default quotas that `ops plan` compares an alternative with, and where new resources start."""
    start = capacity.ON_DEMAND_SHARDS * capacity.SHARD_IN_RECORDS_S
    _table(
        ("AWS's own, unless raised", ""),
        (
            ("concurrent executions", f"{capacity.QUOTA_CONCURRENCY:,}"),
            ("shards", f"{capacity.QUOTA_SHARDS:,}; in most Regions {capacity.QUOTA_SHARDS_ELSEWHERE:,}"),
            ("write units per second of a table", f"{capacity.QUOTA_TABLE_UNITS_S:,}"),
            ("write units per second of all provisioned tables", f"{capacity.QUOTA_ACCOUNT_UNITS_S:,}"),
            ("records per second of a new on-demand stream", f"{start:,}"),
            ("write units per second of a new on-demand table", f"{capacity.NEW_TABLE_WRITE_UNITS_S:,}"),
        ),
    )


def simulated(*commands: str) -> None:
    """What `ops simulate` says of each of these option lists."""
    rows = []
    for options in commands:
        answer: dict[str, Any] = json.loads(_answer("simulate", "--json", *options.split()))
        counts = (f"{answer[name]:,}" for name in ("stored", "invocations", "put_throttles", "rejected"))
        command = " ".join(["simulate", *options.split()])
        rows.append((f"`{command}`", f"{answer['drained_s']:,.0f} s", *counts))
    _table(("command", "drained", "records", "invocations", "refused puts", "given up"), rows)


def _name(alarm: dict[str, Any]) -> str:
    name: str = alarm["AlarmName"]["Fn::Sub"]
    return name.removeprefix("${AppName}-${Stage}-")


def _condition(alarm: dict[str, Any]) -> str:
    metric = f"`{alarm['MetricName']}`" if "MetricName" in alarm else alarm["Metrics"][0]["Label"]
    threshold = alarm["Threshold"]
    over = f"`{threshold['Ref']}`" if isinstance(threshold, dict) else f"{threshold:,}"
    return f"{metric} {_COMPARISONS[alarm['ComparisonOperator']]} {over}"


def _window(alarm: dict[str, Any]) -> str:
    [period_s] = {alarm.get("Period")} - {None} or {
        each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each
    }
    periods = alarm["EvaluationPeriods"]
    return f"{alarm.get('DatapointsToAlarm', periods)} of {periods} periods of {period_s:,} s"


def _answer(*argv: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()):
        ops(argv)
    return printed.getvalue()


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, ("---",) * len(heading), *rows)]
    print("", *lines, "", sep="\n")


def _code(lines: list[str]) -> None:
    print("", "```text", *(line.rstrip() for line in lines), "```", "", sep="\n")
