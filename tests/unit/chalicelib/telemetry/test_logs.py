"""What a batch and a dead letter leave in the log, metrics included."""

import json
import os
from typing import Any

import pytest

from chalicelib.errors import InvalidEventError, ThrottledError
from chalicelib.ingest.batch import Outcome
from chalicelib.stream import records
from chalicelib.telemetry import logs
from chalicelib.triage.invocation_record import Pointers
from chalicelib.triage.triage import Report, Tally
from tests.conftest import random_stage
from tests.support import lambda_events
from tests.support.headings import says

ARRIVED = 1790000000.0


@pytest.fixture(autouse=True)
def _own_logger() -> None:
    """A logger keeps the standard output of the test that made it, and Python keeps loggers by name."""
    os.environ["LIFECYCLE_STAGE"] = random_stage()


def the_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line that was logged."""
    (line,) = capsys.readouterr().out.splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def metric(line: dict[str, Any], name: str) -> Any:
    """A metric's values, if CloudWatch would find them."""
    names = {each["Name"] for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert name in names
    return line[name]


def batch(*arrivals: float) -> dict[str, Any]:
    return {"Records": [lambda_events.record(b"secret-payload", "SN-7", arrived_at=at) for at in arrivals]}


def test_a_batch_leaves_one_line_with_its_place_its_counts_and_its_metrics(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = batch(ARRIVED, ARRIVED + 1, ARRIVED + 2)
    outcome = Outcome(records=3, stored=2, duplicates=1, types={"service": 1, "polished": 1})

    logs.batch_done(event, outcome, 0.25, "request-1", now=ARRIVED + 2.5)

    line = the_line(capsys)
    numbers = lambda_events.sequence_numbers(event)
    assert (line["kind"], line["message"]) == ("batch", "batch done")
    assert (line["shard_id"], line["first"], line["last"]) == (lambda_events.SHARD, numbers[0], numbers[2])
    assert (line["request_id"], line["seconds"], line["oldest_ms"]) == ("request-1", 0.25, 2500)
    assert (line["arrived_first"], line["arrived_last"]) == (1790000000000, 1790000002000)
    assert metric(line, "Stored") == [2.0]
    assert metric(line, "StoredService") == [1.0]
    assert metric(line, "StoredOther") == [1.0]
    assert metric(line, "Duplicates") == [1.0]
    assert metric(line, "ArrivalToStored") == [500.0, 1500.0, 2500.0]
    assert metric(line, "ItemFailures") == [0.0]


def test_a_batch_of_nothing_leaves_a_line_without_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    logs.batch_done(batch(), Outcome(), 0.25, "request-1", now=ARRIVED)

    line = the_line(capsys)
    assert (line["message"], line["records"], line["request_id"]) == ("batch done", 0, "request-1")
    assert not {"shard_id", "first", "oldest_ms", "ArrivalToStored"} & line.keys()
    assert metric(line, "Stored") == [0.0]


def test_a_quarantined_record_is_named_and_its_payload_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    event = batch(*[ARRIVED] * 12)
    error = InvalidEventError("not_json", "that is no JSON")
    outcome = Outcome(
        records=12, quarantined=[(record, error) for record in records.from_lambda_event(event)]
    )

    logs.batch_done(event, outcome, 0.25, "request-1", now=ARRIVED)

    line = the_line(capsys)
    assert metric(line, "Quarantined") == metric(line, "QuarantinedNotJson") == [12.0]
    assert len(line["quarantined_records"]) == logs.MAX_NAMED
    first = line["quarantined_records"][0]
    assert first["id"].endswith(lambda_events.sequence_numbers(event)[0])
    assert (first["partition_key"], first["reason"]) == ("SN-7", "not_json")
    assert "secret-payload" not in json.dumps(line)
    assert "ArrivalToStored" not in line  # nothing was stored


def test_an_unfinished_batch_says_where_it_resumes_and_counts_no_latency(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = batch(ARRIVED, ARRIVED)
    last = list(records.from_lambda_event(event))[1]
    outcome = Outcome(
        records=2, stored=1, types={"theft": 1}, unfinished=[last], last_error=ThrottledError("too fast")
    )

    logs.batch_done(event, outcome, 0.25, "request-1", now=ARRIVED)

    line = the_line(capsys)
    assert (line["kind"], line["level"]) == ("batch", "WARNING")
    assert says("batch unfinished", line["message"])
    assert (line["resume_at"], line["because"]) == (last.sequence_number, "too fast")
    assert metric(line, "ItemFailures") == [1.0]
    assert "ArrivalToStored" not in line


@pytest.fixture
def pointers() -> Pointers:
    return Pointers(
        stream="lifecycle-test-events",
        shard_id=lambda_events.SHARD,
        first="1",
        last="9",
        batch_size=9,
        arrived_at_ms=None,
        condition="RetryAttemptsExhausted",
    )


def test_records_that_the_stream_forgot_are_an_error_and_a_metric(
    capsys: pytest.CaptureFixture[str], pointers: Pointers
) -> None:
    tally = Tally(read=5, stored=4, quarantined={"handler_error": 1}, gaps=1)
    report = Report(message_id="m-1", pointers=pointers, tally=tally, finished=True)

    logs.dead_letter_triaged(report, "request-1")

    line = the_line(capsys)
    assert (line["kind"], line["level"], line["finished"]) == ("dead_letter", "ERROR", True)
    assert says("dead letter triaged; the stream no longer", line["message"])
    assert metric(line, "Expired") == [4.0]
    assert metric(line, "TriageStored") == [4.0]
    assert metric(line, "QuarantinedHandlerError") == [1.0]


def test_an_unfinished_dead_letter_is_not_counted_yet(
    capsys: pytest.CaptureFixture[str], pointers: Pointers
) -> None:
    tally = Tally(read=5, stored=4, quarantined={"handler_error": 1})
    report = Report(message_id="m-1", pointers=pointers, tally=tally, because="time ran out")

    logs.dead_letter_triaged(report, "request-1")

    line = the_line(capsys)
    assert (line["kind"], line["finished"]) == ("dead_letter", False)
    assert says("dead letter unfinished", line["message"])
    assert "_aws" not in line
