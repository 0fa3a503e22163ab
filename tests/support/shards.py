"""A stream's shards, as a test looks at them and changes them."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

#: One behind the highest hash key.
HASH_KEYS = 2**128


class Read(NamedTuple):
    """What a shard holds, and the children that its end named; none where it has no end yet."""

    records: list[Any]
    children: list[Any] | None


@contextlib.contextmanager
def made(kinesis: Any, count: int) -> Iterator[str]:
    """A stream with so many shards."""
    name = f"resharding-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=count)
    try:
        yield name
    finally:
        kinesis.delete_stream(StreamName=name)


def put(kinesis: Any, stream: str, *entries: tuple[str, bytes]) -> list[str]:
    """Puts partition keys with their data; the sequence numbers."""
    answer = kinesis.put_records(
        StreamName=stream, Records=[{"PartitionKey": key, "Data": data} for key, data in entries]
    )
    return [each["SequenceNumber"] for each in answer["Records"]]


def shards(kinesis: Any, stream: str) -> list[Any]:
    """All that are listed."""
    pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream)
    return [shard for page in pages for shard in page["Shards"]]


def is_open(shard: Any) -> bool:
    """Whether it takes records."""
    return "EndingSequenceNumber" not in shard["SequenceNumberRange"]


def open_shards(kinesis: Any, stream: str) -> list[Any]:
    """Those that take records, from the lowest hash key up."""
    return sorted(filter(is_open, shards(kinesis, stream)), key=hash_range)


def hash_range(shard: Any) -> tuple[int, int]:
    """First and last hash key."""
    of = shard["HashKeyRange"]
    return int(of["StartingHashKey"]), int(of["EndingHashKey"])


def parents(shard: Any) -> list[str]:
    """Of a shard that was listed."""
    return [shard[each] for each in ("ParentShardId", "AdjacentParentShardId") if each in shard]


def parents_first(listed: list[Any]) -> Iterator[Any]:
    """The shards in an order in which each comes after its parents."""
    waiting = {shard["ShardId"]: shard for shard in listed}
    while waiting:
        ready = [shard for shard in waiting.values() if not waiting.keys() & set(parents(shard))]
        for shard in ready:
            yield waiting.pop(shard["ShardId"])


def read(kinesis: Any, stream: str, shard_id: str, page: int = 10_000) -> Read:
    """From the oldest record to the end, or to the newest."""
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records: list[Any] = []
    while True:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=page)
        records += answer["Records"]
        if "NextShardIterator" not in answer:
            return Read(records, answer["ChildShards"])
        if not answer["Records"]:
            return Read(records, None)
        iterator = answer["NextShardIterator"]


def split(kinesis: Any, stream: str, shard: Any) -> None:
    """In the middle."""
    kinesis.split_shard(
        StreamName=stream,
        ShardToSplit=shard["ShardId"],
        NewStartingHashKey=str(sum(hash_range(shard)) // 2),
    )


def merge(kinesis: Any, stream: str, one: Any, other: Any) -> None:
    """With the next one."""
    kinesis.merge_shards(
        StreamName=stream, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"]
    )


def scale(kinesis: Any, stream: str, count: int) -> dict[str, Any]:
    """So many of equal size; what was answered."""
    answer: dict[str, Any] = kinesis.update_shard_count(
        StreamName=stream, TargetShardCount=count, ScalingType="UNIFORM_SCALING"
    )
    return answer
