"""The benchmarks' own arithmetic, and that every contender does the work that it is timed for."""

import json
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarks import contenders
from benchmarks.__main__ import EXAMPLES, NAMES, main, parser
from benchmarks.harness import bars, charts, dataset, document, measure
from benchmarks.harness.stub import Stub, item_bytes
from cli.exits import EXIT_FAILED, EXIT_OK
from cli.paths import ROOT
from ops.planning.simulation import svg
from tests.conftest import CREDENTIALS

EVENTS = 60


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with Stub(0) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setenv("LIFECYCLE_HISTORY_TABLE", contenders.TABLE)
        yield running
        running.shutdown()


def client() -> Any:
    return boto3.client("dynamodb", region_name=CREDENTIALS["AWS_DEFAULT_REGION"])


@pytest.mark.parametrize(
    ("name", "requests", "items"),
    [
        ("ours", 3, EVENTS),
        ("conditional_put", EVENTS, EVENTS),
        ("read_modify_write", 2 * EVENTS, EVENTS),
        ("batch_writer", 3, EVENTS),
        ("powertools", EVENTS, EVENTS),
        ("tuned_batch", 3, EVENTS),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # contenders live as long as their process
def test_a_contender_writes_every_event_with_the_requests_it_is_known_for(
    stub: Stub, name: str, requests: int, items: int
) -> None:
    handle = contenders.CONTENDERS[name]()

    for event in dataset.lambda_events(dataset.wire_events(EVENTS, 6)):
        handle(event)

    counts = measure.ask_stub(stub.url, "/counts")
    assert (counts["requests"], counts["items"]) == (requests, items)
    assert counts["write_units"] >= items


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_read_modify_write_pays_grows_with_the_history(stub: Stub) -> None:
    handle = contenders.read_modify_write()

    for event in dataset.lambda_events(dataset.wire_events(EVENTS, 1)):
        handle(event)

    newest = stub._newest.popitem()[1]
    assert len(json.loads(bytes(newest))["history"]["L"]) == EVENTS
    assert measure.ask_stub(stub.url, "/counts")["write_units"] > 5 * EVENTS


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_stubs_pages_are_the_history_in_order(stub: Stub, forward: bool) -> None:
    data = dataset.wire_events(EVENTS, 1)
    handle = contenders.ours()
    for event in dataset.lambda_events(data):
        handle(event)
    query: dict[str, Any] = {
        "TableName": contenders.TABLE,
        "KeyConditionExpression": "serial = :serial AND #position BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#position": "position"},
        "ExpressionAttributeValues": {
            ":serial": {"S": dataset.serial_of(data[0])},
            ":first": {"S": "0"},
            ":last": {"S": "~"},  # markers of voids stand behind it
        },
        "ScanIndexForward": forward,
        "Limit": 7,
    }

    found: list[str] = []
    while True:
        answer = client().query(**query)
        found += [item["position"]["S"] for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            break
        query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    assert len(found) == len(set(found)) == EVENTS
    assert found == sorted(found, reverse=not forward)


def test_a_write_unit_is_a_started_kb_of_names_and_values() -> None:
    # DynamoDB developer guide, "Item sizes and formats": names and strings by their UTF-8 bytes, a number
    # by its digits, 3 bytes for a map or list and 1 for each of its entries.
    item = {
        "id": {"S": "é"},  # 2 + 2
        "n": {"N": "-12.5"},  # 1 + 3
        "m": {"M": {"a": {"BOOL": True}}},  # 1 + 3 + 1 + 1 + 1
        "l": {"L": [{"NULL": True}]},  # 1 + 3 + 1 + 1
    }

    assert item_bytes(item) == 4 + 4 + 7 + 6


def test_a_line_has_the_median_and_what_each_run_gave() -> None:
    line = measure.line({"benchmark": "b"}, [{"ms": 3.0}, {"ms": 1.0}, {"ms": 2.00004}])

    assert line == {"benchmark": "b", "ms": 2.0, "runs": 3, "each": {"ms": [3.0, 1.0, 2.0]}}


def ingest_lines(ours: float, other: float) -> list[measure.Line]:
    return [
        {
            "benchmark": "ingest",
            "contender": name,
            "latency_ms": latency,
            "events_per_second": rate,
            "cpu_us_per_event": 1000 / rate,
        }
        for latency in (0, 5, 20)
        for name, rate in [
            ("ours", ours),
            *((name, other) for name in contenders.CONTENDERS if name != "ours"),
        ]
    ]


def test_a_bar_holds_at_its_limit_and_not_below() -> None:
    at, below = list(bars.judged(ingest_lines(90, 1))), list(bars.judged(ingest_lines(89.9, 1)))

    verdicts = {line["bar"]: line["holds"] for line in at}
    assert verdicts["ingest at 5 ms: ours / conditional_put, events/s"]
    assert verdicts["CPU per event: ours / conditional_put"]
    assert not next(line for line in below if "conditional_put, events/s" in line["bar"])["holds"]


def test_a_ratio_is_taken_run_by_run() -> None:
    lines: list[measure.Line] = [
        {"benchmark": "cold", "contender": name, "ms": 0.0, "each": {"ms": runs}}
        for name, runs in [("first_record", [10.0, 120.0, 11.0]), ("bare_client", [10.0, 100.0, 10.0])]
    ]

    (verdict,) = bars.judged(lines)

    assert (verdict["value"], verdict["holds"]) == (1.1, True)


def test_what_was_not_measured_is_not_judged() -> None:
    judged = {line["bar"] for line in bars.judged(ingest_lines(100, 1))}

    assert judged
    assert all(bar.startswith(("ingest", "CPU")) for bar in judged)
    assert list(bars.judged([])) == []


def test_a_bar_that_does_not_hold_is_in_the_exit_code(tmp_path: Path) -> None:
    kept = tmp_path / "run.ndjson"
    lines = ingest_lines(89, 1)

    codes = []
    for given in (lines, [*lines, *bars.judged(lines)]):
        kept.write_text("".join(json.dumps(line) + "\n" for line in given))
        codes.append(main(["--from", str(kept)]))

    assert codes == [EXIT_OK, EXIT_FAILED]


def test_charts_are_drawn_from_a_run_that_was_kept(tmp_path: Path) -> None:
    paths = list(charts.write(ingest_lines(20_000, 150), tmp_path / "charts"))

    assert [path.name for path in paths] == ["ingest.svg", "cpu.svg"]
    drawn = paths[0].read_text()
    assert "20,000" in drawn
    assert all(name in drawn for name in contenders.CONTENDERS)


def test_a_charts_text_is_escaped() -> None:
    drawn = svg.bar_chart(
        "a < b", [svg.ChartBar("x & y", 1.0, "< 1", True), svg.ChartBar("z", 10.0, "10", False)]
    )

    assert "a &lt; b" in drawn
    assert "x &amp; y" in drawn
    assert "&lt; 1" in drawn


def test_the_examples_in_the_help_are_commands() -> None:
    commands = [row for row in EXAMPLES.splitlines() if row.startswith("  python -m benchmarks")]

    assert commands
    for command in commands:
        parser().parse_args(shlex.split(command.partition(">")[0])[3:])


@pytest.mark.parametrize(("simulated_s", "holds"), [(3.9, True), (2.9, False), (5.1, False), (4.9, True)])
def test_the_simulation_may_be_too_quick_or_too_slow(simulated_s: float, holds: bool) -> None:
    run = {"benchmark": "simulation", "contender": "no_limits", "simulated_s": simulated_s, "measured_s": 4.0}

    (verdict,) = bars.judged([run])

    assert (verdict["value"], verdict["holds"]) == (pytest.approx(simulated_s / 4, rel=1e-3), holds)
    assert verdict["limit"] == "≥ 0.75, ≤ 1.25"


def test_every_benchmark_that_can_be_named_has_a_module() -> None:
    for name in NAMES:
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()


def test_a_contender_that_fails_says_how() -> None:
    with pytest.raises(measure.ContenderError, match="KeyError: 'nobody'"):
        measure.child(
            "benchmarks.ingest:timed",
            "http://127.0.0.1:1",
            contender="nobody",
            url="http://127.0.0.1:1",
            events=25,
            records=25,
            max_s=1.0,
        )


def test_the_documents_tables_are_those_of_the_run_that_is_kept_beside_it() -> None:
    docs = ROOT / "docs"
    lines = [json.loads(row) for row in (docs / "performance.ndjson").read_text().splitlines()]
    text = (docs / document.NAME).read_text()

    assert document.filled(text, lines) == text
    assert text.count("<!-- figures: ") == len({line["benchmark"] for line in lines})


def test_a_table_is_replaced_and_the_words_around_it_are_kept() -> None:
    text = (
        "before\n<!-- figures: cold -->\n| stale |\n<!-- end -->\nafter <!-- figures: spike -->\n<!-- end -->"
    )
    lines = [{"benchmark": "cold", "contender": "ours", "ms": 1234.0, "runs": 2, "each": {"ms": [2.0, 1.0]}}]

    filled = document.filled(text, lines)

    assert "| ours | 1,234 (1–2) | 2 |" in filled
    assert filled.startswith("before\n<!-- figures: cold -->")
    assert filled.endswith("<!-- end -->\nafter <!-- figures: spike -->\n<!-- end -->")
    assert "stale" not in filled
    assert document.filled(filled, lines) == filled


def test_a_run_is_kept_beside_the_page_when_it_has_all_of_its_tables(tmp_path: Path) -> None:
    page = tmp_path / document.NAME
    page.write_text("<!-- figures: cold -->\n<!-- end -->\n<!-- figures: spike -->\n<!-- end -->\n")
    cold = {"benchmark": "cold", "contender": "ours", "ms": 1.0}
    spike = {"benchmark": "spike", "contender": "ours", "seconds": 2.0}

    assert list(document.write([cold], tmp_path)) == [page]
    assert list(document.write([cold, spike], tmp_path)) == [page, tmp_path / "performance.ndjson"]

    kept = [json.loads(row) for row in (tmp_path / "performance.ndjson").read_text().splitlines()]
    assert kept == [cold, spike]
    assert "| ours | 2 |" in page.read_text()
