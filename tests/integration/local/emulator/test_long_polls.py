"""Reads of an idle shard that end at once when something is put on it."""

import time
import types
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3
import pytest

from local.emulator.patches import kinesis_long_polls
from local.event_sources.shard_reader import ShardReader, Start, client_config

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


@pytest.fixture
def kinesis(aws: str) -> "KinesisClient":
    client: KinesisClient = boto3.client("kinesis", config=client_config(4))
    kinesis_long_polls.allow(client)
    return client


@pytest.fixture
def stream(kinesis: "KinesisClient") -> Iterator[str]:
    name = f"long-polls-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    kinesis.delete_stream(StreamName=name)


def reader_of(kinesis: "KinesisClient", stream: str) -> ShardReader:
    return ShardReader(kinesis, stream, "shardId-000000000000", Start.oldest())


def test_what_is_put_while_a_read_waits_is_in_its_answer(kinesis: "KinesisClient", stream: str) -> None:
    reader = reader_of(kinesis, stream)
    began = time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        for number in range(20):
            reading = pool.submit(reader.read, 10, time.time(), kinesis_long_polls.LONGEST_S)
            kinesis.put_record(StreamName=stream, Data=b"%d" % number, PartitionKey="k")
            assert [record["Data"] for record in reading.result().records] == [b"%d" % number]

    assert time.monotonic() - began < 20 * kinesis_long_polls.LONGEST_S  # none of them waited to the end


def test_a_read_waits_as_long_as_it_was_told_and_one_that_was_not_told_not_at_all(
    kinesis: "KinesisClient", stream: str
) -> None:
    reader = reader_of(kinesis, stream)
    took = {}
    for wait_s in (0.0, 0.3):
        began = time.monotonic()
        assert reader.read(10, time.time(), wait_s).records == []
        took[wait_s] = time.monotonic() - began

    assert took[0.0] < 0.3 <= took[0.3]


def test_a_closed_door_is_said_at_once(kinesis: "KinesisClient", stream: str) -> None:
    with (
        kinesis_long_polls.waiting(kinesis_long_polls.LONGEST_S),
        pytest.raises(kinesis.exceptions.ClientError) as refused,
    ):
        kinesis.get_records(ShardIterator="none of yours")

    assert refused.value.response["Error"]["Code"] == "ExpiredIteratorException"


def test_a_ministack_that_has_changed_is_left_alone() -> None:
    changed = types.SimpleNamespace(handle_request=print)

    kinesis_long_polls.grant(changed)

    assert changed.handle_request is print
