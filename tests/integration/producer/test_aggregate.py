"""`python -m producer send --aggregate` on a real stream: same events, shards and order, in fewer records."""

import json
import os
import subprocess
import sys
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import boto3
import pytest

from chalicelib.stream import records
from chalicelib.stream.records import Record
from cli.exits import EXIT_OK, EXIT_USAGE
from cli.paths import ROOT
from producer.__main__ import main
from producer.aggregate import UNIT_BYTES
from producer.lives import lives
from tests.support.shards import open_shards, read, scale, shards
from tests.support.waiting import PATIENCE_S, eventually

LIFE = ["send", "--events", "1500", "--seed", "7", "--now", "2026-01-01T00:00:00Z", "--poison", "5", "--json"]


def on_stream(stream: str) -> tuple[int, dict[str, list[Record]]]:
    """How many records lie on the stream, and each shard's user records in order."""
    kinesis = boto3.client("kinesis")
    count = 0
    found: dict[str, list[Record]] = {}
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        shard_id = shard["ShardId"]
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        answered = kinesis.get_records(ShardIterator=iterator)["Records"]
        count += len(answered)
        found[shard_id] = list(records.from_get_records(stream, shard_id, answered))
    kinesis.close()
    return count, found


def by_serial(shards: dict[str, list[Record]], below: int) -> dict[tuple[str, str], list[bytes]]:
    """What lies where, product by product, in order, as far as it is smaller than `below` bytes."""
    found = defaultdict(list)
    for shard_id, user_records in shards.items():
        for record in user_records:
            if len(record.data) < below:
                found[shard_id, record.partition_key].append(record.data)
    return found


def everything(shards: dict[str, list[Record]]) -> dict[str, list[bytes]]:
    """What lies on which shard, in any order."""
    return {shard_id: sorted(record.data for record in found) for shard_id, found in shards.items()}


def sent(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main([*LIFE, *more]) == EXIT_OK
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)
    return summary


@pytest.fixture
def streams(aws: str) -> Iterator[tuple[str, str]]:
    """Two streams of this test's own."""
    os.environ["LIFECYCLE_STAGE"] = "local"
    kinesis = boto3.client("kinesis")
    names = (f"plain-{uuid.uuid4().hex[:8]}", f"aggregated-{uuid.uuid4().hex[:8]}")
    for name in names:
        kinesis.create_stream(StreamName=name, ShardCount=4)
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield names
    for name in names:
        kinesis.delete_stream(StreamName=name)
    kinesis.close()


def test_aggregated_events_lie_where_they_would_have_lain_and_in_that_order(
    streams: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    plain, aggregated = streams

    sent(capsys, "--stream", plain)
    summary = sent(capsys, "--stream", aggregated, "--aggregate")

    plain_count, plain_shards = on_stream(plain)
    count, shards = on_stream(aggregated)
    assert (summary["events"], summary["poison"], summary["sent"]) == (1500, 5, 1505)
    assert (plain_count, count < 40) == (1505, True)
    # A poison pill of 400 KB shares no record, and so lies on its shard without its own key.
    assert by_serial(shards, below=UNIT_BYTES) == by_serial(plain_shards, below=UNIT_BYTES)
    assert everything(shards) == everything(plain_shards)


@pytest.fixture
def feeding(streams: tuple[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A producer that aggregates what it is told, onto the second stream."""
    command = ["-m", "producer", "send", "--from", "-", "--aggregate", "--json", "--stream", streams[1]]
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield process
        process.kill()


def test_a_reshard_during_the_run_loses_nothing_and_is_noticed(
    streams: tuple[str, str], feeding: "subprocess.Popen[bytes]"
) -> None:
    _, stream = streams
    kinesis = boto3.client("kinesis")
    told: list[bytes] = []
    events = lives(20_000, 2_000, 7, datetime(2026, 1, 1, tzinfo=timezone.utc))

    def on_it() -> list[bytes]:
        found = [
            each for shard in shards(kinesis, stream) for each in read(kinesis, stream, shard["ShardId"])[0]
        ]
        return [record.data for record in records.from_get_records(stream, "any", found)]

    def all_open_shards_get_some() -> bool:
        assert feeding.stdin is not None
        more = list(islice(events, 100))
        feeding.stdin.writelines(data + b"\n" for data in more)
        feeding.stdin.flush()
        told.extend(more)
        assert eventually(lambda: len(on_it()) == len(told))
        return all(read(kinesis, stream, each["ShardId"]).records for each in open_shards(kinesis, stream))

    assert eventually(all_open_shards_get_some)
    scale(kinesis, stream, 8)
    assert eventually(all_open_shards_get_some)  # the second child of each too
    scale(kinesis, stream, 5)
    assert eventually(all_open_shards_get_some)
    out, _ = feeding.communicate(timeout=PATIENCE_S)

    assert feeding.returncode == EXIT_OK
    assert json.loads(out)["sent"] == len(told)
    assert sorted(on_it()) == sorted(told)
    kinesis.close()


def test_pacing_and_filling_records_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LIFE, "--aggregate", "--rate", "8"]) == EXIT_USAGE

    assert "--aggregate" in capsys.readouterr().err
