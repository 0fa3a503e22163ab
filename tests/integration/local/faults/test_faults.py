"""What must hold when things fail, on the pipeline as `demo` starts it and a real endpoint.

The pipeline runs in this process with its real mappings, sandboxes and functions; only its settings differ
where a test says so.
"""

import json
import os
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from chalicelib import settings, wiring
from infra import functions
from local import pipeline
from local.commands.audit import Produced, audit
from local.draining import wait_until_drained
from local.event_sources.observer import Invocation
from local.faults.switchboard import Faults, Switchboard
from local.observers.counters import Stopwatch
from local.observers.function_logs import LogReader
from local.pipeline import Pipeline, Plan
from producer import send
from producer.entry import Entry, event_entry
from producer.lives import lives
from producer.putter import Putter
from tests.support.waiting import eventually

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


class Seen(Stopwatch):
    """The watch of the failures' story, and how each invocation ended."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: Counter[str] = Counter()

    def invoked(self, invocation: Invocation) -> None:
        super().invoked(invocation)
        with self._lock:
            self.outcomes[invocation.outcome] += 1


class Run:
    """A pipeline with faults, what was sent through it, and who watches."""

    def __init__(self, running: Pipeline, watch: Seen, board: Switchboard, logs: Path) -> None:
        self.running, self.watch, self.board, self.logs = running, watch, board, logs
        self.produced = Produced()

    def send(self, count: int) -> None:
        """Put events on the stream, and expect them in the audit."""
        entries = events(count, count // 10)
        for entry in entries:
            self.produced.event(entry.data)
        kinesis = send.client()
        report = Putter(kinesis, settings.stream_name(), ordered=False).send(entries)
        kinesis.close()
        assert report.sent == count

    def drain(self) -> None:
        """Wait until the stream and the dead-letter queue are done with."""
        assert wait_until_drained(self.running, self.watch, stall_s=60)

    def assert_nothing_lost(self) -> None:
        """Everything that was sent is there, through the API, and nothing else."""
        verdict = audit(self.running.api_url, self.produced, [], stored=self.running.stored())
        assert (verdict.missing, verdict.unexpected) == (0, 0), verdict.examples
        assert verdict.queryable == self.produced.distinct

    def dead_letters(self) -> list[dict[str, Any]]:
        """What triage said about each dead letter."""
        lines = LogReader(self.logs / "triage_dead_letters.log").new()
        return [line for line in lines if line.get("kind") == "dead_letter" and line["finished"]]


Start = Callable[..., Run]


@pytest.fixture
def start(aws: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a pipeline on a stage of the test's own; `mapping` overrides properties of its mapping."""
    with ExitStack() as stops:

        def begin(faults: Faults | None = None, *, timeout_s: int | None = None, **mapping: Any) -> Run:
            document = json.loads(functions.FUNCTIONS.read_text())
            function = document["Resources"]["ProcessLifecycle"]["Properties"]
            function["Events"]["ProcessLifecycleKinesisEventSource"]["Properties"].update(mapping)
            function["Timeout"] = timeout_s or function["Timeout"]
            file = tmp_path / "functions.json"
            file.write_text(json.dumps(document))
            watch = Seen()
            board = Switchboard(tmp_path / "faults", faults, seed=1)
            os.environ["AWS_ENDPOINT_URL"] = aws
            plan = Plan(f"t{uuid.uuid4().hex[:8]}", tmp_path, is_temporary=True, faults=board)
            plan = replace(plan, functions=file)
            return Run(
                stops.enter_context(pipeline.running(plan, watch, lambda _: None)), watch, board, tmp_path
            )

        yield begin


def test_one_record_among_200_that_crashes_the_code_is_alone_dead_lettered_and_quarantined(
    start: Start,
) -> None:
    run = start(BisectBatchOnFunctionError=True, MaximumRetryAttempts=3)
    entries = events(200, 200)
    culprit = entries[137]
    run.board.switch(Faults(handler_bug=(culprit.partition_key,)))

    put(entries)
    # The 199 do not wait for triage, nor for each other's retries.
    assert eventually(lambda: run.running.stored() == 199)
    assert eventually(lambda: run.watch.counts().dead_letter_messages == 1)
    assert eventually(run.running.drained)

    assert run.watch.counts().bisected_from == 200
    assert run.watch.counts().discarded == 1
    (letter,) = run.dead_letters()
    assert (letter["batch_size"], letter["quarantined"], letter["stored"]) == (1, {"handler_error": 1}, 0)
    assert letter["condition"] == "RetryAttemptsExhausted"
    (case,) = wiring.quarantine().list("open")
    assert case.payload == culprit.data
    assert case.reason == "handler_error"
    assert case.sentence.startswith("Traceback (most recent call last)")
    assert "in ingest" in case.sentence
    assert f"Bug: the code has a bug with product {culprit.partition_key}" in case.sentence
    assert run.running.stored() == 199


def test_without_bisect_and_reports_one_letter_names_200_and_triage_stores_199(start: Start) -> None:
    run = start(BisectBatchOnFunctionError=False, MaximumRetryAttempts=1, FunctionResponseTypes=[])
    entries = events(200, 200)
    culprit = entries[3]
    run.board.switch(Faults(handler_bug=(culprit.partition_key,)))

    put(entries)
    assert eventually(lambda: run.watch.counts().dead_letter_messages == 1)
    assert eventually(run.running.drained)

    assert run.watch.counts().bisects == 0
    assert run.watch.counts().discarded == 200
    (letter,) = run.dead_letters()
    assert letter["batch_size"] == 200
    assert (letter["stored"], letter["quarantined"]) == (199, {"handler_error": 1})
    assert [case.payload for case in wiring.quarantine().list("open")] == [culprit.data]
    assert run.running.stored() == 199


def test_a_worker_killed_in_the_middle_is_a_failed_invocation_and_its_batch_comes_again(
    start: Start,
) -> None:
    run = start(Faults(crash=0.5))

    run.send(400)
    run.drain()

    assert run.board.counts()["crash"] > 0
    assert run.watch.counts().failed_invocations == run.board.counts()["crash"]
    run.assert_nothing_lost()


def test_a_handler_that_hangs_is_killed_at_its_time_out_and_its_batch_comes_again(start: Start) -> None:
    run = start(Faults(timeout=0.4), timeout_s=3)

    run.send(200)
    run.drain()

    assert run.board.counts()["timeout"] > 0
    assert run.watch.outcomes["timeout"] == run.board.counts()["timeout"]
    run.assert_nothing_lost()


def test_batches_delivered_again_change_nothing(start: Start) -> None:
    run = start(Faults(duplicate=0.7))

    run.send(300)
    run.drain()

    assert run.board.counts()["redelivered"] > 0
    assert run.watch.outcomes["undelivered"] == run.board.counts()["redelivered"]
    run.assert_nothing_lost()


def test_throttled_requests_and_unprocessed_items_are_tried_until_they_are_in(start: Start) -> None:
    run = start(Faults(throttle=0.5))

    run.send(1000)
    run.drain()

    struck = run.board.counts()
    assert struck["throttled"] > 0
    assert struck["unprocessed"] > 0
    assert run.watch.counts().failed_invocations == 0
    run.assert_nothing_lost()


@pytest.mark.parametrize("count", [400, 4000])
def test_during_an_outage_invocations_are_in_proportion_to_time_not_to_records(
    start: Start, count: int
) -> None:
    """A time-out of 3 s leaves 1.8 s of waiting: so often a shard is invoked, whatever waits in it."""
    outage_s, shards, waiting_s = 4.0, 4, 1.8
    run = start(Faults(outage_s=outage_s), timeout_s=3)

    run.send(count)
    assert eventually(lambda: run.board.counts().get("outage", 0) > 0)
    run.drain()

    failed = run.watch.outcomes["partial"]
    assert 0 < failed <= shards * (outage_s / waiting_s + 2)
    run.assert_nothing_lost()


def events(count: int, products: int) -> list[Entry]:
    """Events of so many products, others in each test."""
    seed = random.SystemRandom().randrange(2**32)
    return [event_entry(data) for data in lives(count, products, seed, NOW)]


def put(entries: list[Entry]) -> None:
    """Put events into one shard, in one request, so that one batch holds them all."""
    kinesis = send.client()
    answer = kinesis.put_records(
        StreamName=settings.stream_name(),
        Records=[
            {"Data": entry.data, "PartitionKey": entry.partition_key, "ExplicitHashKey": "0"}
            for entry in entries
        ],
    )
    kinesis.close()
    assert answer["FailedRecordCount"] == 0
