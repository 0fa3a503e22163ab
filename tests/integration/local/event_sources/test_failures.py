"""A function that fails, and a Kinesis mapping: what is delivered again, and what is given up."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.sandbox.outcome import Ending, Outcome
from tests.support.mappings import Rig, by_number, rigged
from tests.support.waiting import eventually


@pytest.fixture
def rig(aws: str, tmp_path: Path) -> Iterator[Rig]:
    with rigged(tmp_path) as rig:
        yield rig


def test_a_poison_pill_does_not_hold_up_the_shard(rig: Rig) -> None:
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


def test_without_bisect_the_whole_batch_is_one_message(rig: Rig) -> None:
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


def test_reported_failures_are_retried_from_there_with_fresh_retries(rig: Rig) -> None:
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


def test_a_timeout_is_a_failed_invocation_and_the_batch_comes_again(aws: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path, timeout_s=4.0)
    try:
        sent = rig.put({"hang": True, "until": 1}, key="one")
        with rig.running(batch_size=10, retry_attempts=3) as mapping:
            assert eventually(mapping.drained)
    finally:
        rig.close()

    assert rig.delivered() == [sent, sent]
    assert [each.outcome for each in rig.watcher.invocations] == ["timeout", "ok"]
    assert [each.attempt for each in rig.watcher.invocations] == [1, 2]


def test_records_too_old_are_given_up_and_the_others_delivered(rig: Rig) -> None:
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


def test_a_function_that_cannot_be_reached_costs_no_retry(rig: Rig) -> None:
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
