"""What is read from the lines of the functions and the API."""

import json
from pathlib import Path

import pytest

from chalicelib.errors import InvalidEventError
from chalicelib.ingest.batch import Outcome
from chalicelib.stream import records
from chalicelib.telemetry import logs as function_lines
from chalicelib.triage.invocation_record import Pointers
from chalicelib.triage.report import Report, Tally
from local.observers.function_logs import FunctionLogs, LogReader, LogTotals, verdicts
from local.observers.gauges import percentiles
from tests.support.lambda_events import batch, wire

NOW = 1_795_205_567.0


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
    function_lines.batch_done(event, outcome, 0.1, "request", now=_arrival(event) + 0.25)
    log = tmp_path / "process_lifecycle.log"
    log.write_text(capsys.readouterr().out)
    logs = FunctionLogs(tmp_path)

    logs.look(NOW)
    logs.look(NOW)  # nothing new

    lines = logs.totals
    assert (lines.stored, lines.quarantined, lines.throttled_requests) == (2, 1, 4)
    p50, p99 = percentiles(lines.latencies_ms, NOW)
    assert p50 is not None
    assert p99 is not None
    assert 0 <= p50 <= p99 <= 260


def test_requests_are_counted_from_the_api_s_lines(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    line = {"kind": "request", "status": 200, "ms": 4.5}
    log.write_text(
        f'{json.dumps(line)}\n127.0.0.1 - "GET / HTTP/1.1"\n{json.dumps({**line, "status": 503})}\n'
    )
    logs = FunctionLogs(tmp_path)

    logs.look(NOW)

    assert (logs.totals.requests, logs.totals.failed_requests) == (2, 1)


def test_a_line_counts_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogReader(path)
    assert list(log.new()) == []  # no file yet

    path.write_bytes(b'{"a": 1}\n{"b"')
    assert list(log.new()) == [{"a": 1}]
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n')

    assert list(log.new()) == [{"b": 2}]


@pytest.mark.parametrize(
    "text", ["{", "{}", "[1]", '{"kind": "batch"}', '{"kind": "request"}', '{"kind": "dead_letter"}']
)
def test_what_only_looks_like_a_line_of_ours_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "api.log").write_text(f"{text}\n" + '{"kind": "request", "status": 200, "ms": 1}\n')
    logs = FunctionLogs(tmp_path)

    logs.look(NOW)

    assert logs.totals == LogTotals(requests=1, request_ms=logs.totals.request_ms)


def test_dead_letters_count_once_they_are_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines are the real ones."""
    pointers = Pointers(
        stream="s", shard_id="shard", first="1", last="9", batch_size=9, arrived_at_ms=None, condition="c"
    )
    tally = Tally(read=5, stored=4, quarantined={"handler_error": 1}, gaps=1)
    unfinished = Report(message_id="m", pointers=pointers, tally=tally)
    finished = Report(message_id="m", pointers=pointers, tally=tally, finished=True)
    for report in (unfinished, finished, Report(message_id="m", tally=Tally(), bug=ValueError("a bug"))):
        function_lines.dead_letter_triaged(report, "request")
    log = tmp_path / "triage_dead_letters.log"
    log.write_text(f"Traceback (most recent call last)\n{capsys.readouterr().out}")

    logs = FunctionLogs(tmp_path)
    logs.look(NOW)

    assert logs.totals == LogTotals(
        triaged=1,
        stored=4,
        quarantined=1,
        expired=4,
        latencies_ms=logs.totals.latencies_ms,
        request_ms=logs.totals.request_ms,
    )
    assert verdicts(log) == {"stored": 4, "expired": 4, "handler_error": 1}
    assert verdicts(tmp_path / "none.log") == {}


def _arrival(event: dict[str, list[dict[str, dict[str, float]]]]) -> float:
    return event["Records"][0]["kinesis"]["approximateArrivalTimestamp"]
