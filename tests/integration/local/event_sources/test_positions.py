"""Where a Kinesis mapping begins, and where it goes on after a stop, a kill, a loss."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.errors import ConfigurationError
from cli.paths import ROOT
from tests.support.mappings import Rig, flat, rigged
from tests.support.waiting import eventually, pass_time


@pytest.fixture
def rig(aws: str, tmp_path: Path) -> Iterator[Rig]:
    with rigged(tmp_path) as rig:
        yield rig


@pytest.fixture
def wide(aws: str, tmp_path: Path) -> Iterator[Rig]:
    """Four shards, as the local stack has."""
    with rigged(tmp_path, shards=4) as rig:
        yield rig


def test_a_restart_goes_on_where_the_last_run_stopped(wide: Rig) -> None:
    first = wide.put(*({"n": n} for n in range(100)))
    with wide.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)
    second = wide.put(*({"n": n} for n in range(100)))

    with wide.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)

    assert Counter(flat(wide.delivered())) == Counter(first + second)


def test_killing_everything_of_ours_in_the_middle_loses_nothing(wide: Rig) -> None:
    barrier = wide.notes_path.with_suffix(".hold")
    barrier.touch()
    sent = wide.put(*({"hold": str(barrier) if n in range(1500, 1520) else ""} for n in range(3000)))
    code = f"""
import boto3
from pathlib import Path
from local.event_sources.checkpoints import Checkpoints
from local.event_sources.failure_destination import FailureDestination
from local.event_sources.kinesis import KinesisMapping
from local.event_sources.settings import KinesisSettings
from local.event_sources.shard_runner import MappingParts
from local.sandbox.pool import SandboxPool
pool = SandboxPool(
    handler="tests.support.handlers.note",
    environment={{"NOTES": {str(wide.notes_path)!r}}},
    timeout_s=30,
    log_path=Path({str(wide.notes_path)!r} + ".log"),
)
KinesisMapping(MappingParts(
    settings=KinesisSettings(batch_size=20), stream={wide.stream!r}, function="note", invoke=pool.invoke,
    kinesis=boto3.client("kinesis"), checkpoints=Checkpoints(boto3.client("dynamodb"), {wide.table!r}),
    failures=FailureDestination(boto3.client("sqs"), None),
)).start()
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


def test_stopping_in_the_middle_finishes_what_is_under_way_and_loses_nothing(rig: Rig) -> None:
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


def test_stopping_waits_no_longer_than_told_and_what_is_under_way_comes_again(rig: Rig) -> None:
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


def test_a_stream_made_anew_under_the_same_name_starts_anew(rig: Rig) -> None:
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


def test_latest_starts_behind_what_is_there_and_keeps_its_place(rig: Rig) -> None:
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


def test_at_timestamp_starts_with_what_arrived_then(rig: Rig) -> None:
    rig.put({"n": "before"})
    started = time.time()
    assert eventually(lambda: time.time() > started + 0.2)
    moment = time.time()
    after = rig.put({"n": "after"})

    with rig.running(batch_size=10, starting_position="AT_TIMESTAMP", starting_at=moment) as mapping:
        assert eventually(mapping.drained)

    assert flat(rig.delivered()) == after


def test_an_expired_iterator_is_replaced_behind_the_last_record_read(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
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


def test_a_stream_that_does_not_exist_is_a_sentence(rig: Rig) -> None:
    mapping = rig.mapping()
    rig.kinesis.delete_stream(StreamName=rig.stream)
    assert eventually(lambda: not rig.is_active())

    with pytest.raises(ConfigurationError, match=f"stream '{rig.stream}' does not exist"):
        mapping.start()


def test_a_failure_queue_that_does_not_exist_is_a_sentence(rig: Rig) -> None:
    with pytest.raises(ConfigurationError, match="queue 'no-such-queue' does not exist"):
        rig.mapping(failure_queue="no-such-queue")
