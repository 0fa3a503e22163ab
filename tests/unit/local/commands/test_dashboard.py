"""The dashboard: what it counts, what it reads from the functions' lines, what it draws."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from chalicelib.errors import InvalidEventError
from chalicelib.ingest.batch import Outcome
from chalicelib.stream import records
from chalicelib.telemetry import logs as observability
from local.commands import dashboard
from local.commands.dashboard import Waiting
from local.commands.serve import _late
from local.event_sources.observer import Invocation
from local.observers.gauges import Gauges, Lines, Log, Logs, Rates, Shard, Totals, percentiles
from tests.support.lambda_events import batch, wire

NOW = 1_795_205_567.0
SHARD = "shardId-000000000001"


def invocation(source: str = SHARD, **changed: object) -> Invocation:
    facts = {
        "function": "process_lifecycle",
        "source": source,
        "batch_size": 200,
        "outcome": "ok",
        "attempt": 1,
        "iterator_age_ms": 120.0,
        "started_at": NOW - 1,
        "seconds": 0.5,
    }
    return Invocation(**{**facts, **changed})  # type: ignore[arg-type]  # the names are checked by the call


def drawn(gauges: Gauges, lines: Lines, waiting: Waiting, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(dashboard.draw(gauges, lines, (10.0, 9.0, 0.5), waiting, NOW))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(" ".join(line.split()) for line in console.file.getvalue().splitlines())


def test_a_shard_shows_what_is_in_hand_and_how_late_it_is() -> None:
    gauges = Gauges()

    gauges.read(SHARD, 150, NOW - 30)
    gauges.read(SHARD, 150, NOW - 12.3)
    gauges.invoked(invocation(iterator_age_ms=50.0))
    gauges.processed(SHARD, ["1"] * 180, NOW)
    gauges.discarded(SHARD, ["2"] * 20, "RetryAttemptsExhausted")

    shown = drawn(gauges, Lines(), Waiting(0, 0, 0)).splitlines()[-1].split()
    assert shown == ["1", "300", "100", "12.3", "s", "1", "200", "0", "s", "ago"]


def test_a_shard_that_the_function_does_not_get_done_gets_later_before_any_batch_has_ended() -> None:
    gauges = Gauges()

    gauges.read(SHARD, 300, NOW - 12.3)

    shown = drawn(gauges, Lines(), Waiting(0, 0, 0)).splitlines()[-1].split()
    assert shown == ["1", "300", "300", "12.3", "s", "0", "0"]


def test_with_nothing_in_hand_the_latest_batch_says_how_late_it_was_for_a_minute() -> None:
    shard = Shard(batches=1, iterator_age_ms=12_300.0, last_at=NOW)

    assert shard.age_ms(NOW + 60) == 12_300.0
    assert shard.age_ms(NOW + 61) is None


def test_what_the_queue_s_mapping_does_is_not_taken_for_a_shard() -> None:
    gauges = Gauges()

    gauges.invoked(invocation("dead-letters", attempt=3, batch_size=1))
    gauges.processed("dead-letters", ["m"], NOW)

    assert gauges.shards() == {}
    assert gauges.counts().invocations == 1
    assert gauges.batches() == (1, 0.0, 0)


def test_retries_bisects_and_batch_sizes_are_shown() -> None:
    gauges = Gauges()
    gauges.read(SHARD, 300, NOW)
    for attempt, size, outcome in ((1, 200, "error"), (2, 100, "ok"), (2, 30, "ok")):
        gauges.invoked(invocation(attempt=attempt, batch_size=size, outcome=outcome))
    gauges.bisected(SHARD, 200)

    shown = drawn(gauges, Lines(), Waiting(0, 0, 0))

    assert "batches 3 ø 110 largest 200, 1 failed" in shown
    assert "\n2 retried, 1 bisected" in shown


def test_what_waits_is_shown_and_what_nobody_knows_is_a_question_mark() -> None:
    known = drawn(Gauges(), Lines(), Waiting(3, 2, dashboard.MOST_COUNTED))
    unknown = drawn(Gauges(), Lines(), Waiting())

    assert "dead letters 3 wait, 2 parked" in known
    assert "quarantine 1,000+ open" in known
    assert "dead letters ? wait, ? parked" in unknown


def test_the_picture_fits_a_terminal_of_eighty_columns() -> None:
    gauges, lines = Gauges(), Lines(stored=12_345_678, duplicates=1_234_567, quarantined=123_456)
    for number in range(4):
        gauges.read(f"shardId-{number:012}", 12_345_678, NOW - 3600)
        gauges.invoked(invocation(f"shardId-{number:012}", iterator_age_ms=3_600_000.0))

    narrow = drawn(gauges, lines, Waiting(1000, 1000, 1000))

    assert narrow == drawn(gauges, lines, Waiting(1000, 1000, 1000), width=200)


def test_a_line_of_the_function_is_what_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is the real one, so that nobody changes it without the dashboard."""
    event = batch([wire("SN-1"), wire("SN-1"), b"x"])
    *_, record = records.from_lambda_event(event)
    outcome = Outcome(
        records=3,
        stored=2,
        quarantined=[(record, InvalidEventError("not_json", "not JSON"))],
        throttled_requests=4,
    )
    observability.batch_done(event, outcome, 0.1, "request", now=_arrival(event) + 0.25)
    log = tmp_path / "process_lifecycle.log"
    log.write_text(capsys.readouterr().out)
    logs = Logs(tmp_path)

    logs.look(NOW)
    logs.look(NOW)  # nothing new

    lines = logs.lines
    assert (lines.stored, lines.quarantined, lines.throttled_requests) == (2, 1, 4)
    p50, p99 = percentiles(lines.latencies_ms, NOW)
    assert p50 is not None
    assert p99 is not None
    assert 0 <= p50 <= p99 <= 260


def test_requests_are_counted_from_the_api_s_lines(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    line = {"message": "request", "status": 200, "ms": 4.5}
    log.write_text(
        f'{json.dumps(line)}\n127.0.0.1 - "GET / HTTP/1.1"\n{json.dumps({**line, "status": 503})}\n'
    )
    logs = Logs(tmp_path)

    logs.look(NOW)

    assert (logs.lines.requests, logs.lines.failed_requests) == (2, 1)


def test_a_line_counts_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path)
    assert list(log.new()) == []  # no file yet

    path.write_bytes(b'{"a": 1}\n{"b"')
    assert list(log.new()) == [{"a": 1}]
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n')

    assert list(log.new()) == [{"b": 2}]


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '{"message": "batch done"}', '{"message": "request"}'])
def test_what_only_looks_like_a_line_of_ours_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "api.log").write_text(f"{text}\n" + '{"message": "request", "status": 200, "ms": 1}\n')
    logs = Logs(tmp_path)

    logs.look(NOW)

    assert logs.lines == Lines(requests=1, request_ms=logs.lines.request_ms)


def test_rates_are_over_the_latest_seconds() -> None:
    rates = Rates()
    for second in range(20):
        rates.add(NOW + second, Totals(read=100 * second if second < 10 else 1000, stored=second))

    read, stored, requests = rates.a_second()

    assert (read, stored, requests) == (0.0, 1.0, 0.0)


def test_percentiles_forget_what_is_older_than_a_minute() -> None:
    kept = [(NOW - 61, [9000.0]), (NOW - 59, [float(number) for number in range(1, 101)])]

    assert percentiles(kept, NOW) == (50.0, 99.0)
    assert percentiles(kept, NOW + 60) == (None, None)


def _arrival(event: dict[str, list[dict[str, dict[str, float]]]]) -> float:
    return event["Records"][0]["kinesis"]["approximateArrivalTimestamp"]


def test_without_a_terminal_a_line_says_what_the_function_does_not_get_done() -> None:
    gauges = Gauges()
    gauges.read(SHARD, 300, NOW - 12)
    gauges.read("shardId-000000000002", 40, NOW - 3)
    gauges.processed(SHARD, ["1"] * 100, NOW)

    assert _late(gauges, NOW) == "; 240 in hand, the oldest for 12 s"
    assert _late(gauges, NOW - 3) == ""  # nothing is late yet
