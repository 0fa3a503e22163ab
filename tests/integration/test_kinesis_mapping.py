"""A real stream, a real mapping, a real function: what is delivered, how often, and what is kept of it."""

import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from chalicelib.errors import ConfigurationError
from local.responses import Ending, Outcome
from local.sandbox import ROOT
from tests.mappings import Rig, eventually, pass_time


@pytest.fixture
def rig(aws: str, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def wide(aws: str, tmp_path: Path) -> Iterator[Rig]:
    """Four shards, as the local stack has."""
    rig = Rig(tmp_path, shards=4)
    yield rig
    rig.close()


def flat(lists: list[list[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(lists))


def by_number(numbers: list[str]) -> list[str]:
    return sorted(numbers, key=int)


def refused(code: str, status: int = 400) -> Any:
    """What botocore takes for an answer that refuses, in place of asking the endpoint."""
    headers: dict[str, str] = {}
    error = {"Error": {"Code": code, "Message": "not now"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return AWSResponse("http://unkind", status, headers, io.BytesIO()), error


class TestDelivery:
    def test_everything_on_every_shard_is_delivered_once_and_in_order(self, wide: Rig) -> None:
        sent = wide.put(*({"n": n, "key": f"product-{n % 37}"} for n in range(2000)))

        with wide.running(batch_size=100) as mapping:
            assert eventually(mapping.drained)

        assert Counter(flat(wide.delivered())) == Counter(sent)
        assert Counter(wide.watcher.done) == Counter(sent)
        per_key = defaultdict(list)
        for record in itertools.chain.from_iterable(wide.notes()):
            per_key[record["kinesis"]["partitionKey"]].append(record["kinesis"]["sequenceNumber"])
        assert len(per_key) == 37
        assert all(numbers == by_number(numbers) for numbers in per_key.values())

    def test_a_batch_is_of_one_shard_and_no_larger_than_allowed(self, wide: Rig) -> None:
        wide.put(*({"n": n} for n in range(500)))

        with wide.running(batch_size=30) as mapping:
            assert eventually(mapping.drained)

        shards = {record["eventID"].split(":")[0] for records in wide.notes() for record in records}
        assert len(shards) == 4
        for records in wide.notes():
            assert len(records) <= 30
            assert len({record["eventID"].split(":")[0] for record in records}) == 1

    def test_ten_records_put_at_once_are_one_batch(self, rig: Rig) -> None:
        """Recorded from AWS (test_create_kinesis_event_source_mapping)."""
        sent = rig.put(*({"n": n} for n in range(10)))

        with rig.running(batch_size=100) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered() == [sent]

    def test_what_arrives_later_is_delivered_too(self, rig: Rig) -> None:
        with rig.running(batch_size=10) as mapping:
            sent = []
            for n in range(3):
                sent += rig.put({"n": n})
                assert eventually(mapping.drained)
                assert flat(rig.delivered()) == sent

    def test_drained_is_never_true_too_early(self, rig: Rig) -> None:
        with rig.running(batch_size=10) as mapping:
            for n in range(20):
                (number,) = rig.put({"n": n})
                assert eventually(mapping.drained)
                assert rig.watcher.done[-1] == number

    def test_whoever_asks_does_not_wait_for_the_poll_interval(self, rig: Rig) -> None:
        with rig.running(batch_size=10, poll_interval_s=600.0) as mapping:
            assert eventually(mapping.drained)
            sent = rig.put({"n": 1})
            assert eventually(mapping.drained)

        assert rig.delivered() == [sent]

    def test_a_window_gathers_records_from_several_reads(self, rig: Rig) -> None:
        with rig.running(batch_size=3, window_s=300) as mapping:
            sent = [rig.put({"n": n})[0] for n in range(3)]
            assert eventually(mapping.drained)

        assert rig.delivered() == [sent]

    def test_lanes_run_at_the_same_time_and_keep_a_keys_order(self, rig: Rig) -> None:
        running, most, lock = 0, 0, threading.Lock()

        def invoke(event: bytes) -> Outcome:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            outcome = rig.pool.invoke(event)
            with lock:
                running -= 1
            return outcome

        sent = rig.put(*({"n": n, "key": f"product-{n % 20}"} for n in range(200)))
        with rig.running(batch_size=5, parallelization_factor=4, invoke=invoke) as mapping:
            assert eventually(mapping.drained)

        assert 2 <= most <= 4
        assert Counter(flat(rig.delivered())) == Counter(sent)
        per_key = defaultdict(list)
        for record in itertools.chain.from_iterable(rig.notes()):
            per_key[record["kinesis"]["partitionKey"]].append(record["kinesis"]["sequenceNumber"])
        assert all(numbers == by_number(numbers) for numbers in per_key.values())


class TestFailures:
    def test_a_poison_pill_does_not_hold_up_the_shard(self, rig: Rig) -> None:
        data: list[dict[str, Any]] = [{"n": n} for n in range(200)]
        data[130]["crash"] = True
        sent = rig.put(*data, key="one")

        with rig.running(batch_size=200, bisect=True, retry_attempts=3) as mapping:
            assert eventually(mapping.drained)

        (failure,) = rig.failures()
        assert failure["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert failure["requestContext"]["approximateInvokeCount"] == 4
        assert failure["responseContext"]["functionError"] == "Unhandled"
        batch = failure["KinesisBatchInfo"]
        assert (batch["startSequenceNumber"], batch["endSequenceNumber"]) == (sent[130], sent[130])
        assert (batch["shardId"], batch["batchSize"]) == ("shardId-000000000000", 1)
        assert by_number(rig.watcher.done) == [each for each in sent if each != sent[130]]
        assert rig.watcher.given_up == [([sent[130]], "RetryAttemptsExhausted")]
        assert rig.watcher.bisects[0] == 200
        endings = Counter(each.outcome for each in rig.watcher.invocations)
        assert endings.keys() == {"ok", "crash"}
        assert max(each.attempt for each in rig.watcher.invocations) == 4

    def test_without_bisect_the_whole_batch_is_one_message(self, rig: Rig) -> None:
        data: list[dict[str, Any]] = [{"n": n} for n in range(200)]
        data[130]["raise"] = True
        sent = rig.put(*data, key="one")

        with rig.running(batch_size=200, retry_attempts=1, partial_responses=False) as mapping:
            assert eventually(mapping.drained)

        (failure,) = rig.failures()
        batch = failure["KinesisBatchInfo"]
        assert (batch["startSequenceNumber"], batch["endSequenceNumber"]) == (sent[0], sent[-1])
        assert batch["batchSize"] == 200
        assert rig.delivered() == [sent, sent]

    def test_reported_failures_are_retried_from_there_with_fresh_retries(self, rig: Rig) -> None:
        """Recorded from AWS (test_kinesis_report_batch_item_failures): retries 3, delivered five times,
        approximateInvokeCount 4, functionError null, batchSize 1."""
        sent = rig.put({"n": 0}, {"n": 1}, {"report": True}, key="one")

        with rig.running(batch_size=10, retry_attempts=3) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered() == [sent] + [sent[2:]] * 4
        (failure,) = rig.failures()
        assert failure["requestContext"]["approximateInvokeCount"] == 4
        assert failure["responseContext"] == {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": None,
        }
        assert failure["KinesisBatchInfo"]["batchSize"] == 1

    def test_a_timeout_is_a_failed_invocation_and_the_batch_comes_again(
        self, aws: str, tmp_path: Path
    ) -> None:
        rig = Rig(tmp_path, timeout_s=1.5)
        try:
            sent = rig.put({"hang": True, "until": 1}, key="one")
            with rig.running(batch_size=10, retry_attempts=3) as mapping:
                assert eventually(mapping.drained)
        finally:
            rig.close()

        assert rig.delivered() == [sent, sent]
        assert [each.outcome for each in rig.watcher.invocations] == ["timeout", "ok"]
        assert [each.attempt for each in rig.watcher.invocations] == [1, 2]

    def test_records_too_old_are_given_up_and_the_others_delivered(self, rig: Rig) -> None:
        """Recorded from AWS (..._discard_records): one expired and five fresh ones, batch size 10."""
        (old,) = rig.put({"n": 0}, key="one")
        put_at = time.time()
        assert eventually(lambda: time.time() > put_at + 0.1)
        fresh = rig.put(*({"n": n} for n in range(1, 6)), key="one")

        # A clock that stands still, a minute after the first record and less than that after the others.
        with rig.running(batch_size=10, record_age_s=60, clock=lambda: put_at + 60.05) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered() == [fresh]
        (failure,) = rig.failures()
        assert failure["requestContext"]["condition"] == "RecordAgeExceeded"
        assert failure["requestContext"]["approximateInvokeCount"] >= 1
        assert "responseContext" not in failure
        batch = failure["KinesisBatchInfo"]
        assert (batch["startSequenceNumber"], batch["endSequenceNumber"], batch["batchSize"]) == (old, old, 1)

    def test_a_function_that_cannot_be_reached_costs_no_retry(self, rig: Rig) -> None:
        refusals = iter(range(10))

        def invoke(event: bytes) -> Outcome:
            if next(refusals, None) is not None:
                return Outcome(Ending.UNDELIVERED, b"", "")
            return rig.pool.invoke(event)

        sent = rig.put({"n": 0}, key="one")
        with rig.running(batch_size=10, retry_attempts=0, invoke=invoke) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered() == [sent]
        assert rig.failures() == []


class TestUnkindServices:
    """Throttled reads, a failure queue that does not answer: nothing is lost and nothing spins."""

    def test_throttled_reads_are_taken_up_again(self, rig: Rig) -> None:
        calls = itertools.count(1)

        def throttle(**kwargs: Any) -> Any:
            return refused("ProvisionedThroughputExceededException") if next(calls) % 2 else None

        rig.kinesis.meta.events.register("before-call.kinesis.GetRecords", throttle)
        sent = rig.put(*({"n": n} for n in range(50)), key="one")
        with rig.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)

        assert flat(rig.delivered()) == sent

    def test_throttled_reads_are_spaced_out(self, rig: Rig) -> None:
        calls = itertools.count()
        rig.kinesis.meta.events.register(
            "before-call.kinesis.GetRecords",
            lambda **kwargs: next(calls) >= 0 and refused("ProvisionedThroughputExceededException"),
        )

        with rig.running(batch_size=10):
            started = time.time()
            assert eventually(lambda: time.time() > started + 1)

        assert next(calls) <= 5  # pauses of 0.2, 0.4, 0.8 s

    def test_a_failure_queue_that_does_not_answer_is_waited_for(self, rig: Rig) -> None:
        calls = itertools.count()

        def refuse_once(**kwargs: Any) -> Any:
            return refused("InternalError", 500) if next(calls) == 0 else None

        rig.sqs.meta.events.register("before-call.sqs.SendMessage", refuse_once)
        rig.put({"raise": True}, key="one")
        after = rig.put({"n": 1}, key="one")

        with rig.running(batch_size=1, retry_attempts=0) as mapping:
            assert eventually(mapping.drained)

        assert len(rig.failures()) == 1
        assert rig.delivered()[-1] == after

    def test_stopping_before_the_failure_queue_has_answered_forgets_no_batch(self, rig: Rig) -> None:
        is_down = threading.Event()
        is_down.set()
        asked = threading.Event()

        def refuse(**kwargs: Any) -> Any:
            asked.set()
            return refused("InternalError", 500) if is_down.is_set() else None

        rig.sqs.meta.events.register("before-call.sqs.SendMessage", refuse)
        (bad,) = rig.put({"raise": True}, key="one")
        rig.put({"n": 1}, key="one")
        mapping = rig.mapping(batch_size=1, retry_attempts=0)
        mapping.start()
        assert asked.wait(30)
        mapping.stop()
        is_down.clear()
        assert rig.failures() == []

        with rig.running(batch_size=1, retry_attempts=0) as mapping:
            assert eventually(mapping.drained)

        (failure,) = rig.failures()
        assert failure["KinesisBatchInfo"]["startSequenceNumber"] == bad

    def test_another_lane_takes_no_checkpoint_past_a_message_that_was_not_sent(self, rig: Rig) -> None:
        asked, barrier = threading.Event(), rig.notes_path.with_suffix(".hold")
        barrier.touch()

        def refuse(**kwargs: Any) -> Any:
            asked.set()
            return refused("InternalError", 500) if barrier.exists() else None

        rig.sqs.meta.events.register("before-call.sqs.SendMessage", refuse)
        (bad,) = rig.put({"raise": True, "key": "key-1"})
        rig.put(*({"hold": str(barrier), "key": f"key-{n}"} for n in range(2, 20)))
        settings = {"batch_size": 10, "retry_attempts": 0, "parallelization_factor": 10}
        mapping = rig.mapping(**settings)
        mapping.start()
        assert asked.wait(30)
        assert eventually(lambda: len(rig.delivered()) > 1)
        stopper = threading.Thread(target=mapping.stop)
        stopper.start()
        pass_time(0.2)
        barrier.unlink()
        stopper.join()
        assert rig.watcher.done

        with rig.running(**settings) as mapping:
            assert eventually(mapping.drained)

        starts = {each["KinesisBatchInfo"]["startSequenceNumber"] for each in rig.failures()}
        assert starts == {bad}

    def test_a_failure_queue_that_refuses_does_not_hold_up_the_shard(self, rig: Rig) -> None:
        """As on AWS: DestinationDeliveryFailures counts it, and processing continues."""
        rig.put({"raise": True}, key="one")
        after = rig.put({"n": 1}, key="one")
        rig.sqs.meta.events.register(
            "before-call.sqs.SendMessage", lambda **kwargs: refused("AccessDenied", 403)
        )

        with rig.running(batch_size=1, retry_attempts=0) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered()[-1] == after

    def test_a_bug_in_what_invokes_is_no_standstill(self, rig: Rig) -> None:
        bugs = iter([RuntimeError("a bug")])

        def invoke(event: bytes) -> Outcome:
            for bug in bugs:
                raise bug
            return rig.pool.invoke(event)

        sent = rig.put({"n": 1})
        with rig.running(batch_size=1, invoke=invoke) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered() == [sent]

    def test_whoever_waits_learns_of_a_bug_of_ours(self, rig: Rig) -> None:
        def broken(*args: Any) -> None:
            raise RuntimeError("a bug")

        rig.watcher.invoked = broken  # type: ignore[method-assign]  # an observer must not raise; this one does
        rig.put({"n": 1})

        with rig.running(batch_size=1) as mapping, pytest.raises(RuntimeError, match="has failed"):
            eventually(mapping.drained)


class TestPositions:
    def test_a_restart_goes_on_where_the_last_run_stopped(self, wide: Rig) -> None:
        first = wide.put(*({"n": n} for n in range(100)))
        with wide.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)
        second = wide.put(*({"n": n} for n in range(100)))

        with wide.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)

        assert Counter(flat(wide.delivered())) == Counter(first + second)

    def test_killing_everything_of_ours_in_the_middle_loses_nothing(self, wide: Rig) -> None:
        barrier = wide.notes_path.with_suffix(".hold")
        barrier.touch()
        sent = wide.put(*({"hold": str(barrier) if n in range(1500, 1520) else ""} for n in range(3000)))
        code = f"""
import boto3
from pathlib import Path
from local.checkpoints import Checkpoints
from local.kinesis_mapping import KinesisMapping
from local.mapping_settings import KinesisSettings
from local.sandbox import SandboxPool
pool = SandboxPool(
    handler="tests.handlers.note",
    environment={{"NOTES": {str(wide.notes_path)!r}}},
    timeout_s=30,
    log_path=Path({str(wide.notes_path)!r} + ".log"),
)
KinesisMapping(
    settings=KinesisSettings(batch_size=20), stream={wide.stream!r}, function="note", invoke=pool.invoke,
    kinesis=boto3.client("kinesis"), sqs=boto3.client("sqs"),
    checkpoints=Checkpoints(boto3.client("dynamodb"), {wide.table!r}),
).start()
print(flush=True)
input()
"""
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        ) as ours:
            assert eventually(lambda: len(wide.delivered()) >= 40)
            os.kill(ours.pid, signal.SIGKILL)
        barrier.unlink()
        before = flat(wide.delivered())
        assert len(set(before)) < len(sent)

        with wide.running(batch_size=20) as mapping:
            assert eventually(mapping.drained)

        delivered = flat(wide.delivered())
        assert set(delivered) == set(sent)
        # What the checkpoints had kept is not delivered again.
        assert len(delivered) < len(sent) + len(before)

    def test_stopping_in_the_middle_finishes_what_is_under_way_and_loses_nothing(self, rig: Rig) -> None:
        barrier = rig.notes_path.with_suffix(".hold")
        barrier.touch()
        sent = rig.put(*({"hold": str(barrier) if n == 50 else ""} for n in range(300)), key="one")
        mapping = rig.mapping(batch_size=10)
        mapping.start()
        assert eventually(lambda: len(rig.delivered()) == 6)
        stopper = threading.Thread(target=mapping.stop)
        stopper.start()
        pass_time(0.2)
        assert stopper.is_alive()
        barrier.unlink()
        stopper.join()
        assert len(flat(rig.delivered())) == 60

        with rig.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)

        assert flat(rig.delivered()) == sent

    def test_stopping_waits_no_longer_than_told_and_what_is_under_way_comes_again(self, rig: Rig) -> None:
        barrier = rig.notes_path.with_suffix(".hold")
        barrier.touch()
        sent = rig.put({"hold": str(barrier)})
        mapping = rig.mapping(batch_size=10)
        mapping.start()
        assert eventually(lambda: len(rig.delivered()) == 1)
        mapping.stop(grace_s=0.1)
        barrier.unlink()

        with rig.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered() == [sent, sent]

    def test_a_stream_made_anew_under_the_same_name_starts_anew(self, rig: Rig) -> None:
        rig.put({"n": 0})
        with rig.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)
        born = rig.kinesis.describe_stream_summary(StreamName=rig.stream)["StreamDescriptionSummary"]
        rig.kinesis.delete_stream(StreamName=rig.stream)
        assert eventually(lambda: not rig.is_active())
        # The endpoint tells a stream's age in whole seconds.
        assert eventually(lambda: time.time() > born["StreamCreationTimestamp"].timestamp() + 1)
        rig.create_stream(1)
        again = rig.put({"n": 1})

        with rig.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)

        assert rig.delivered()[-1] == again
        # Sequence numbers grow across streams here; on AWS nothing says so.
        items = rig.dynamodb.scan(TableName=rig.table)["Items"]
        assert len({item["mapping"]["S"] for item in items}) == 2

    def test_latest_starts_behind_what_is_there_and_keeps_its_place(self, rig: Rig) -> None:
        rig.put({"n": "before"})
        with rig.running(batch_size=10, starting_position="LATEST") as mapping:
            assert eventually(mapping.drained)
        assert rig.delivered() == []
        while_down = rig.put({"n": "while it was down"})

        with rig.running(batch_size=10, starting_position="LATEST") as mapping:
            assert eventually(mapping.drained)
            after = rig.put({"n": "after"})
            assert eventually(mapping.drained)

        assert flat(rig.delivered()) == while_down + after

    def test_at_timestamp_starts_with_what_arrived_then(self, rig: Rig) -> None:
        rig.put({"n": "before"})
        started = time.time()
        assert eventually(lambda: time.time() > started + 0.2)
        moment = time.time()
        after = rig.put({"n": "after"})

        with rig.running(batch_size=10, starting_position="AT_TIMESTAMP", starting_at=moment) as mapping:
            assert eventually(mapping.drained)

        assert flat(rig.delivered()) == after

    def test_an_expired_iterator_is_replaced_behind_the_last_record_read(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The endpoint forgets an iterator that we never obtained: every third read has that one."""
        reads = itertools.count(1)

        def sabotage(params: dict[str, Any], **kwargs: Any) -> None:
            if next(reads) % 3 == 0:
                params["ShardIterator"] = "forgotten"

        rig.kinesis.meta.events.register("provide-client-params.kinesis.GetRecords", sabotage)
        sent = []
        with rig.running(batch_size=10) as mapping:
            for n in range(10):
                sent += rig.put({"n": n})
                assert eventually(mapping.drained)

        assert next(reads) > 10
        assert flat(rig.delivered()) == sent

    def test_a_stream_that_does_not_exist_is_a_sentence(self, rig: Rig) -> None:
        mapping = rig.mapping()
        rig.kinesis.delete_stream(StreamName=rig.stream)
        assert eventually(lambda: not rig.is_active())

        with pytest.raises(ConfigurationError, match=f"stream '{rig.stream}' does not exist"):
            mapping.start()

    def test_a_failure_queue_that_does_not_exist_is_a_sentence(self, rig: Rig) -> None:
        mapping = rig.mapping(failure_queue="no-such-queue")

        with pytest.raises(ConfigurationError, match="queue 'no-such-queue' does not exist"):
            mapping.start()
