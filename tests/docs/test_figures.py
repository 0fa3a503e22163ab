"""Numbers in the documents' prose, put together from the code's own and looked for in the document.

The only place that does so for what has no test of its own beside what it speaks of: figures that a command
answers are in test_planning_page.py and tests/e2e/local/test_failures.py, tables in test_api_reference.py and
test_deploying_text.py.
"""

import hashlib
import json
import re
from typing import Any

import pytest

from benchmarks import ingest, lookup, memory, simulation, spike, trickle
from benchmarks.harness import bars, dataset
from chalicelib import wiring
from chalicelib.api import queries, views, walk
from chalicelib.domain import events
from chalicelib.ingest.batch import REQUESTS_AHEAD
from chalicelib.ingest.poison import MAX_INDIVIDUAL_CASES
from chalicelib.ingest.writers import MAX_ABANDONED_CALLS
from chalicelib.tables import history, items
from cli.paths import ROOT
from cli.stage import CONFIG
from infra import functions, template
from local.__main__ import parser
from ops.planning import bill, capacity, sizing
from ops.planning.capacity import MB
from ops.planning.prices import PriceList
from ops.planning.sizing import PROVISIONED, Load
from producer.putter import IN_FLIGHT
from tests.support.lambda_events import wire

PARAMETERS: dict[str, Any] = template.read()["Parameters"]
RESOURCES: dict[str, Any] = template.read()["Resources"]
ALARMS: dict[str, dict[str, Any]] = {
    resource["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${AppName}-${Stage}-"): resource[
        "Properties"
    ]
    for resource in RESOURCES.values()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
KINESIS: dict[str, Any] = functions.properties("prod")["ProcessLifecycle"]["Events"][
    "ProcessLifecycleKinesisEventSource"
]["Properties"]
DEAD_LETTERS: dict[str, Any] = RESOURCES["DeadLetters"]["Properties"]

DAY_S = 24 * 3600
IN_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

#: How the documents say for how long an alarm looks, by seconds.
LOOKS = {300: "five minutes", 600: "ten minutes", 900: "a quarter of an hour", 3600: "an hour"}

OVER, TOLD_OVER = {"Ref": "QuarantineAlarmOver"}, PARAMETERS["QuarantineAlarmOver"]["Default"]

#: Alarm, what its section in operating.md says of it, its threshold, and for how many seconds it looks.
ALARM_SENTENCES: list[tuple[str, str, object, int]] = [
    ("iterator-age", "for more than a minute, three minutes in a row.", 60_000, 180),
    ("nobody-reads", "did not run once, for {looks}.", 1, 300),
    ("write-throttling", "in three of {looks}.", 0, 300),
    ("process-errors", "More than one invocation of `process_lifecycle` in a hundred", 1, 300),
    ("process-errors", "failed within {looks}.", 1, 300),
    ("triage-errors", "More than one invocation of `triage_dead_letters` in a hundred", 1, 300),
    ("triage-errors", "failed within {looks}.", 1, 300),
    ("process-throttles", "in three of {looks}.", 0, 300),
    ("triage-throttles", "in three of {looks}.", 0, 300),
    ("api-throttles", "in three of {looks}.", 0, 300),
    ("table-throttles", "in three of {looks}.", 0, 300),
    ("table-capacity", "more than 80 % of its units for {looks}.", 80, 600),
    ("dead-letters", "For {looks} there was always something", 0, 600),
    ("dead-letters-age", "older than a quarter of the stream's retention.", 25, 300),
    ("parking", "There is a message in the parking queue", 0, 300),
    ("quarantine-growing", f"records than `QuarantineAlarmOver` ({TOLD_OVER}) were set", OVER, 3600),
    ("quarantine-growing", "within {looks}.", OVER, 3600),
    ("records-expired", "The stream forgot records", 0, 300),
    ("api-5xx", "More than one answer of the API in a hundred was our fault, for {looks}.", 0.01, 600),
    ("api-p99", "for more than a second and a half, for {looks}.", 1500, 900),
]


def text(document: str) -> str:
    """A document on one line: where its text breaks is nobody's concern."""
    return " ".join((ROOT / document).read_text().split())


def serving() -> Any:
    return parser().parse_args(["serve"])


def sentences() -> list[tuple[str, str]]:
    load, settings, warm = Load(), json.loads(CONFIG.read_text()), capacity.ON_DEMAND_SHARDS
    receives = DEAD_LETTERS["RedrivePolicy"]["maxReceiveCount"]
    tries = KINESIS["MaximumRetryAttempts"] + 1
    days = PARAMETERS["RetentionHours"]["Default"] // 24
    hours_of_triage = receives * DEAD_LETTERS["VisibilityTimeout"] // 3600
    write, ahead = history.MAX_BATCH_ITEMS, REQUESTS_AHEAD
    walked = f"{walk.MAX_WALK} MB"
    key = events.decode(wire()).position
    least, most = next((bar.at_least, bar.at_most) for bar in bars.BARS if bar.name.startswith("simulated"))
    assert KINESIS["MaximumRecordAgeInSeconds"] == DAY_S
    return [
        ("README.md", f"http://127.0.0.1:{serving().port}/products/SN-"),
        ("README.md", f"http://127.0.0.1:{serving().endpoint_port} (Kinesis, DynamoDB, SQS; stage local)"),
        ("README.md", f"measures it on {lookup.HISTORIES[0]} to {lookup.HISTORIES[-1]:,} events"),
        ("README.md", f"Python {requires_python()} to 3."),
        (
            "CHANGELOG.md",
            f"holds more than {MAX_INDIVIDUAL_CASES:,} of them the whole is one case, `invalid_aggregate`",
        ),
        ("docs/api.md", f"what is odd, and up to {views.NEWEST} events, newest first"),
        ("docs/api.md", f"({queries.DEFAULT_LIMIT} unless given, {queries.MAX_LIMIT} at most)"),
        ("docs/api.md", f"the product's own answer reads {views.NEWEST + 1} events, and further back only"),
        ("docs/api.md", f"only while none of them gives a status, {walked} at most"),
        ("docs/api.md", f"from {settings['minimum_compression_size']} bytes on (`minimum_compression_size`"),
        ("docs/design.md", f"until {MAX_ABANDONED_CALLS} are left behind"),
        ("docs/design.md", f"{len(key)} bytes an item"),
        ("docs/design.md", f"{len(key) - 32} characters of time in every key"),
        ("docs/design.md", f"events go {write} to a BatchWriteItem"),
        ("docs/design.md", f"| a conditional PutItem per event | {write} times the requests"),
        ("docs/design.md", f"found by halving and the other {write - 1} are kept"),
        ("docs/design.md", f"nesting deeper than {events.MAX_DEPTH}"),
        ("docs/design.md", f"After {walked} without an answer it says `undetermined`"),
        ("docs/design.md", f"the {items.MAX_ITEM_BYTES // 1024} KB ceiling is reached near 400 events"),
        ("docs/design.md", f"after {IN_WORDS[tries]} tries, some {IN_WORDS[tries]} minutes, the batch's"),
        ("docs/design.md", f"After {IN_WORDS[receives]} receives SQS parks it"),
        (
            "docs/design.md",
            f"about {IN_WORDS[hours_of_triage]} hours, the stream keeps {IN_WORDS[days]} days",
        ),
        ("docs/operating.md", f"before the retention ({IN_WORDS[days]} days) has passed"),
        ("docs/operating.md", f"after {IN_WORDS[receives]} receives it is parked"),
        ("docs/operating.md", f"{IN_WORDS[receives]} times, some {IN_WORDS[hours_of_triage]} hours of tries"),
        ("docs/operating.md", f"after {IN_WORDS[tries - 1]} retries sends pointers to it"),
        ("docs/operating.md", f"a status that lies deep in a long history reads up to {walked}"),
        ("docs/operating.md", f"a new table takes {capacity.NEW_TABLE_WRITE_UNITS_S:,} writes a second"),
        ("docs/operating.md", f"`http://127.0.0.1:{serving().endpoint_port}` | where streams, tables"),
        ("docs/troubleshooting.md", f"endpoint's port ({serving().endpoint_port}) is taken"),
        ("docs/troubleshooting.md", f"counts as one of its {IN_WORDS[receives]} receives"),
        ("docs/troubleshooting.md", f"After {IN_WORDS[receives]} receives the message is parked"),
        ("docs/planning.md", f"default load is {load.events_a_month // 10**6} million events a month"),
        ("docs/planning.md", f"bursts of {load.burst:,}, each stored within {load.within_s:g} s"),
        ("docs/planning.md", f"{IN_WORDS[len(sizing.MEMORY_MB)]} sizes of memory"),
        ("docs/planning.md", f"with {capacity.WRITE_LATENCY_S * 1000:g} ms for DynamoDB"),
        ("docs/planning.md", f"new on-demand stream takes {warm * capacity.SHARD_IN_BYTES_S // MB} MB or"),
        ("docs/planning.md", f"or {warm * capacity.SHARD_IN_RECORDS_S:,} records a second, a new on-demand"),
        ("docs/planning.md", f"on-demand table {capacity.NEW_TABLE_WRITE_UNITS_S:,} write units"),
        ("docs/planning.md", f"months of {capacity.HOURS_A_MONTH} hours"),
        (
            "docs/planning.md",
            f"{capacity.QUOTA_CONCURRENCY:,} concurrent executions, {capacity.QUOTA_SHARDS:,} shards "
            f"({capacity.QUOTA_SHARDS_ELSEWHERE:,} in most Regions), {capacity.QUOTA_TABLE_UNITS_S:,} write "
            f"units a second of a table and {capacity.QUOTA_ACCOUNT_UNITS_S:,} of all provisioned ones",
        ),
        ("docs/planning.md", f"a producer with {IN_WORDS[IN_FLIGHT]} requests in flight"),
        ("docs/planning.md", f"shards that take {capacity.SHARD_IN_RECORDS_S:,} records and"),
        ("docs/planning.md", f"{capacity.SHARD_IN_BYTES_S // MB} MB a second and give"),
        ("docs/planning.md", f"give {capacity.SHARD_OUT_BYTES_S // MB} MB in"),
        ("docs/planning.md", f"MB in {IN_WORDS[capacity.SHARD_READS_S]} reads"),
        ("docs/planning.md", f"on {IN_WORDS[warm]} shards a burst of {load.burst:,} is stored after"),
        (
            "docs/planning.md",
            f"not the {load.burst // (warm * capacity.SHARD_IN_RECORDS_S)} s that division gives",
        ),
        ("docs/planning.md", f"has a bar, {least:g} to {most:g}"),
        ("docs/performance.md", f"Lambda events of {dataset.RECORDS_A_LAMBDA_EVENT} records against a stub"),
        ("docs/performance.md", "answers after {}, {} or {} ms".format(*ingest.LATENCIES_MS)),
        (
            "docs/performance.md",
            f"one for each {wiring.MB_PER_WRITER} MB, {wiring.MIN_WRITERS} at least and",
        ),
        ("docs/performance.md", f"and {wiring.MAX_WRITERS} at most"),
        ("docs/performance.md", f"Decoding runs at most {ahead} requests ahead of the oldest unanswered one"),
        ("docs/performance.md", f"{memory.LATENCY_MS} ms of latency. The share is imposed"),
        ("docs/performance.md", f"in turns of {memory._PERIOD_S * 1000:g} ms, on one CPU"),
        (
            "docs/performance.md",
            f"{IN_WORDS[int(trickle.RATE)].capitalize()} events a second for half a minute",
        ),
        ("docs/performance.md", f"Bursts of {simulation.CALIBRATION:,} before and after it calibrate"),
        ("docs/performance.md", "{:,} and {:,} events, twice the stated peak".format(*spike.EVENTS)),
    ]


def requires_python() -> str:
    found = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert found
    return found[1]


@pytest.mark.parametrize(("document", "sentence"), sentences())
def test_the_figure_in_the_document_is_the_one_in_the_code(document: str, sentence: str) -> None:
    assert sentence in text(document)


def test_the_digest_is_the_one_that_design_describes() -> None:
    found = re.search(r"BLAKE2b, (\d+) bytes, personalised with `([a-z0-9-]+)`", text("docs/design.md"))
    assert found
    # The canonical form as the section has it: keys by code point, no white space, the offset beside UTC.
    canonical = (
        b'{"metadata":{"n":1.10},"occurred_at":"2026-01-01T00:00:00Z","offset_minutes":120,'
        b'"serial":"SN-1","type":"note"}'
    )
    event = events.decode(
        b'{"type":"note","serial":"SN-1","metadata":{"n": 1.10},"occurred_at":"2026-01-01T02:00:00.0+02:00"}'
    )

    digest = hashlib.blake2b(canonical, digest_size=int(found[1]), person=found[2].encode()).hexdigest()
    assert event.position.partition("#")[2] == digest


@pytest.mark.parametrize(("alarm", "sentence", "threshold", "looks_s"), ALARM_SENTENCES)
def test_an_alarm_rings_when_operating_says(
    alarm: str, sentence: str, threshold: object, looks_s: int
) -> None:
    rings = ALARMS[alarm]
    period_s = rings.get("Period") or next(
        each["MetricStat"]["Period"] for each in rings["Metrics"] if "MetricStat" in each
    )
    operating = (ROOT / "docs" / "operating.md").read_text()
    [means] = re.findall(rf"^## {alarm}\n\n\*(.+?)\*", operating, re.MULTILINE)

    assert (rings["Threshold"], rings["EvaluationPeriods"] * period_s) == (threshold, looks_s)
    assert sentence.format(looks=LOOKS.get(looks_s)) in means
    assert rings.get("DatapointsToAlarm", 0) == (3 if "in three of" in means else 0)


def test_half_of_a_time_out_is_the_threshold_of_both_duration_alarms() -> None:
    said = text("docs/operating.md")
    for function in "process_lifecycle", "triage_dead_letters":
        assert f"*An invocation of `{function}` took more than half of its time-out.*" in said


def test_every_alarm_s_sentence_is_compared() -> None:
    assert {alarm for alarm, *_ in ALARM_SENTENCES} == {
        alarm for alarm in ALARMS if not alarm.endswith("-duration")
    }


def test_the_largest_line_after_a_year_is_storage_with_its_recovery() -> None:
    load = Load(months_kept=12)
    choice = next(each for each in sizing.alternatives() if each.table != PROVISIONED)
    lines = bill.bill(load, sizing.design(load, choice), PriceList("us-east-1"))
    largest = sorted(lines, key=lambda line: -line.usd)[:2]

    assert "it is the largest line, together with point-in-time recovery" in text("docs/planning.md")
    assert [line.what for line in largest] == ["12 months of events", "point-in-time recovery"]
