"""Throttled reads, a failure queue that does not answer: nothing is lost and nothing spins."""

import io
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from local.sandbox.outcome import Outcome
from tests.support.mappings import Rig, flat, rigged
from tests.support.waiting import PATIENCE_S, eventually, pass_time


@pytest.fixture
def rig(aws: str, tmp_path: Path) -> Iterator[Rig]:
    with rigged(tmp_path) as rig:
        yield rig


def refused(code: str, status: int = 400) -> Any:
    """What botocore takes for an answer that refuses, in place of asking the endpoint."""
    headers: dict[str, str] = {}
    error = {"Error": {"Code": code, "Message": "not now"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return AWSResponse("http://unkind", status, headers, io.BytesIO()), error


def test_throttled_reads_are_taken_up_again(rig: Rig) -> None:
    calls = itertools.count(1)

    def throttle(**kwargs: Any) -> Any:
        return refused("ProvisionedThroughputExceededException") if next(calls) % 2 else None

    rig.kinesis.meta.events.register("before-call.kinesis.GetRecords", throttle)
    sent = rig.put(*({"n": n} for n in range(50)), key="one")
    with rig.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)

    assert flat(rig.delivered()) == sent


def test_throttled_reads_are_spaced_out(rig: Rig) -> None:
    calls = itertools.count()
    rig.kinesis.meta.events.register(
        "before-call.kinesis.GetRecords",
        lambda **kwargs: next(calls) >= 0 and refused("ProvisionedThroughputExceededException"),
    )

    with rig.running(batch_size=10):
        started = time.time()
        assert eventually(lambda: time.time() > started + 1)

    assert next(calls) <= 10  # pauses of 0.2, 0.4, 0.8, 1.6 s; without them there are hundreds


def test_a_failure_queue_that_does_not_answer_is_waited_for(rig: Rig) -> None:
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


def test_stopping_before_the_failure_queue_has_answered_forgets_no_batch(rig: Rig) -> None:
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
    assert asked.wait(PATIENCE_S)
    mapping.stop()
    is_down.clear()
    assert rig.failures() == []

    with rig.running(batch_size=1, retry_attempts=0) as mapping:
        assert eventually(mapping.drained)

    (failure,) = rig.failures()
    assert failure["KinesisBatchInfo"]["startSequenceNumber"] == bad


def test_another_lane_takes_no_checkpoint_past_a_message_that_was_not_sent(rig: Rig) -> None:
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
    assert asked.wait(PATIENCE_S)
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


def test_a_failure_queue_that_refuses_does_not_hold_up_the_shard(rig: Rig) -> None:
    """As on AWS: DestinationDeliveryFailures counts it, and processing continues."""
    rig.put({"raise": True}, key="one")
    after = rig.put({"n": 1}, key="one")
    rig.sqs.meta.events.register("before-call.sqs.SendMessage", lambda **kwargs: refused("AccessDenied", 403))

    with rig.running(batch_size=1, retry_attempts=0) as mapping:
        assert eventually(mapping.drained)

    assert rig.delivered()[-1] == after


def test_a_bug_in_what_invokes_is_no_standstill(rig: Rig) -> None:
    bugs = iter([RuntimeError("a bug")])

    def invoke(event: bytes) -> Outcome:
        for bug in bugs:
            raise bug
        return rig.pool.invoke(event)

    sent = rig.put({"n": 1})
    with rig.running(batch_size=1, invoke=invoke) as mapping:
        assert eventually(mapping.drained)

    assert rig.delivered() == [sent]


def test_whoever_waits_learns_of_a_bug_of_ours(rig: Rig) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("a bug")

    rig.watcher.invoked = broken  # type: ignore[method-assign]  # an observer must not raise; this one does
    rig.put({"n": 1})

    with rig.running(batch_size=1) as mapping, pytest.raises(RuntimeError, match="has failed"):
        eventually(mapping.drained)
