"""Closed shards of the embedded endpoint: listed, read to the end, kept over a restart, one day gone."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from local.aws import client
from local.emulator import process
from local.emulator.patches import kinesis_expiry, kinesis_resharding, kinesis_shards
from tests.support.shards import (
    HASH_KEYS,
    hash_range,
    is_open,
    made,
    merge,
    open_shards,
    parents,
    parents_first,
    put,
    read,
    scale,
    shards,
    split,
)


@pytest.fixture
def kinesis(aws: str) -> Iterator[Any]:
    kinesis = client("kinesis")
    yield kinesis
    kinesis.close()


@pytest.fixture
def single(kinesis: Any) -> Iterator[str]:
    """A stream with one shard."""
    with made(kinesis, 1) as name:
        yield name


def test_a_closed_shard_is_listed_with_its_end_and_what_it_holds(kinesis: Any, single: str) -> None:
    [number] = put(kinesis, single, ("k", b"before"))
    split(kinesis, single, *open_shards(kinesis, single))
    [later] = put(kinesis, single, ("k", b"after"))

    closed, low, high = shards(kinesis, single)
    end = closed["SequenceNumberRange"]["EndingSequenceNumber"]
    assert int(number) < int(end)
    for child in (low, high):
        assert parents(child) == [closed["ShardId"]]
        assert int(end) < int(child["SequenceNumberRange"]["StartingSequenceNumber"]) < int(later)
    assert hash_range(low)[1] + 1 == hash_range(high)[0]
    assert kinesis.describe_stream(StreamName=single)["StreamDescription"]["Shards"] == [closed, low, high]
    summary = kinesis.describe_stream_summary(StreamName=single)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 2
    assert [record["Data"] for record in read(kinesis, single, closed["ShardId"]).records] == [b"before"]


def test_the_end_of_a_shard_names_its_children_and_theirs_both_parents(kinesis: Any, single: str) -> None:
    split(kinesis, single, *open_shards(kinesis, single))
    low, high = open_shards(kinesis, single)
    merge(kinesis, single, low, high)
    [merged] = open_shards(kinesis, single)

    assert [each["ShardId"] for each in read(kinesis, single, "shardId-000000000000").children or ()] == [
        low["ShardId"],
        high["ShardId"],
    ]
    for parent in (low, high):
        assert read(kinesis, single, parent["ShardId"]).children == [
            {
                "ShardId": merged["ShardId"],
                "ParentShards": [low["ShardId"], high["ShardId"]],
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(HASH_KEYS - 1)},
            }
        ]
    assert read(kinesis, single, merged["ShardId"]).children is None


def test_a_stream_that_was_resharded_survives_a_restart_with_everything_on_it(
    kinesis: Any, tmp_path: Path
) -> None:
    first = process.start(log_path=tmp_path / "log", state_dir=tmp_path / "state")
    there = boto3.client("kinesis", endpoint_url=first.url)
    there.create_stream(StreamName="kept", ShardCount=2)
    put(there, "kept", ("k", b"before"))
    scale(there, "kept", 3)
    put(there, "kept", ("k", b"after"))
    before = shards(there, "kept")
    first.stop()

    second = process.start(log_path=tmp_path / "log", state_dir=tmp_path / "state")
    try:
        there = boto3.client("kinesis", endpoint_url=second.url)
        assert shards(there, "kept") == before
        found = [read(there, "kept", shard["ShardId"]) for shard in parents_first(before)]
        assert [record["Data"] for each in found for record in each.records] == [b"before", b"after"]
        assert [each.children is None for each in found] == [is_open(each) for each in parents_first(before)]
        scale(there, "kept", 6)  # and its shards go on being counted
        assert len(open_shards(there, "kept")) == 6
        assert len({shard["ShardId"] for shard in shards(there, "kept")}) == len(before) + 6
    finally:
        second.stop()


def test_a_closed_shard_goes_when_its_retention_is_over_and_its_records_as_theirs_is(
    ministack: SimpleNamespace,
) -> None:
    kinesis = ministack.kinesis
    hour = 3600.0
    now = really_now = time.time()
    kinesis_expiry.apply(kinesis)
    kinesis_resharding.apply(kinesis, ministack.provisioners, ministack.lambda_svc, clock=lambda: now)
    kinesis._create_stream({"StreamName": "s", "ShardCount": 1})
    stream = kinesis._streams["s"]
    for data in ("b2xk", "bmV3"):
        kinesis._put_record({"StreamName": "s", "PartitionKey": "k", "Data": data})
    [parent] = stream["shards"].values()
    parent["records"][0]["ApproximateArrivalTimestamp"] = really_now - 25 * hour
    parent["records"][1]["ApproximateArrivalTimestamp"] = really_now - 23 * hour

    now = really_now - 22 * hour
    kinesis._split_shard(
        {"StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": str(2**127)}
    )
    now = really_now
    kinesis._describe_stream({"StreamName": "s"})
    assert [len(shard["records"]) for shard in stream["shards"].values()] == [1, 0, 0]

    now = really_now + 2.1 * hour
    kinesis._list_shards({"StreamName": "s"})
    assert sorted(stream["shards"]) == ["shardId-000000000001", "shardId-000000000002"]
    assert len(kinesis_shards.open_shards(stream)) == 2
