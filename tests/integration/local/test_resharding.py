"""Splits and merges: parents are done before their children begin, so a key's records stay in order.

The same on the embedded endpoint and on kinesalite, which nobody here has written.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.support import kinesalite
from tests.support.mappings import Rig, flat, rigged
from tests.support.waiting import eventually

FIRST = "shardId-000000000000"


@pytest.fixture(scope="module", params=["embedded", "kinesalite"])
def kinesis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Kinesis that keeps a split shard until it has been read."""
    if request.param == "embedded":
        yield request.getfixturevalue("endpoint_url")
        return
    with kinesalite.running() as url:
        yield url


@pytest.fixture
def rig(aws: str, kinesis_url: str, tmp_path: Path) -> Iterator[Rig]:
    with rigged(tmp_path, kinesis_url=kinesis_url) as rig:
        yield rig


@pytest.fixture
def pair(aws: str, kinesis_url: str, tmp_path: Path) -> Iterator[Rig]:
    """Two shards, so that they can be merged."""
    with rigged(tmp_path, kinesis_url=kinesis_url, shards=2) as rig:
        yield rig


def shards(rig: Rig) -> list[Any]:
    return rig.kinesis.list_shards(StreamName=rig.stream)["Shards"]


def open_shards(rig: Rig) -> list[Any]:
    return [each for each in shards(rig) if "EndingSequenceNumber" not in each["SequenceNumberRange"]]


def split(rig: Rig, shard: Any) -> None:
    hashes = shard["HashKeyRange"]
    middle = (int(hashes["StartingHashKey"]) + int(hashes["EndingHashKey"])) // 2
    before = len(shards(rig))
    rig.kinesis.split_shard(
        StreamName=rig.stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle)
    )
    assert eventually(lambda: rig.is_active() and len(shards(rig)) == before + 2)


def merge(rig: Rig, one: Any, other: Any) -> None:
    before = len(shards(rig))
    rig.kinesis.merge_shards(
        StreamName=rig.stream, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"]
    )
    assert eventually(lambda: rig.is_active() and len(shards(rig)) == before + 1)


def numbered(start: int, stop: int, **more: Any) -> list[dict[str, Any]]:
    return [{"n": n, "key": f"product-{n % 7}", **more} for n in range(start, stop)]


def delivered(rig: Rig) -> list[str]:
    return flat(rig.delivered())


def assert_keys_in_order(rig: Rig, sent: list[str]) -> None:
    """Every record once, a key's records in the order in which they were put."""
    assert Counter(delivered(rig)) == Counter(sent)
    per_key = defaultdict(list)
    for record in chain.from_iterable(rig.notes()):
        per_key[record["kinesis"]["partitionKey"]].append(record["kinesis"]["sequenceNumber"])
    for numbers in per_key.values():
        assert numbers == sorted(numbers, key=sent.index)


def test_a_split_while_reading_keeps_every_record_and_every_keys_order(rig: Rig) -> None:
    sent = rig.put(*numbered(0, 100))

    with rig.running(batch_size=5) as mapping:
        split(rig, *open_shards(rig))
        sent += rig.put(*numbered(100, 200))
        split(rig, open_shards(rig)[0])
        sent += rig.put(*numbered(200, 300))
        assert eventually(mapping.drained)

    assert len({record["eventID"].split(":")[0] for record in chain.from_iterable(rig.notes())}) > 2
    assert_keys_in_order(rig, sent)


def test_children_wait_until_their_parent_is_done_not_only_read(rig: Rig, tmp_path: Path) -> None:
    barrier = tmp_path / "barrier"
    barrier.touch()
    parents = rig.put(*numbered(0, 20, hold=str(barrier)))
    split(rig, *open_shards(rig))
    children = rig.put(*numbered(20, 100))

    with rig.running(batch_size=100) as mapping:
        assert eventually(lambda: len(rig.notes()) == 1)
        assert not mapping.drained()
        assert Counter(delivered(rig)) == Counter(parents)
        barrier.unlink()
        assert eventually(mapping.drained)

    assert set(delivered(rig)[:20]) == set(parents)
    assert_keys_in_order(rig, parents + children)


def test_a_failing_record_of_the_parent_holds_up_the_children(rig: Rig) -> None:
    parent = rig.put({"raise": True, "until": 20, "key": "product-0"})
    split(rig, *open_shards(rig))
    children = rig.put(*numbered(0, 20))

    with rig.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)

    assert rig.delivered()[:21] == [parent] * 21
    assert Counter(list(chain.from_iterable(rig.delivered()[21:]))) == Counter(children)


def test_a_merged_shard_waits_for_both_parents(pair: Rig, tmp_path: Path) -> None:
    barrier = tmp_path / "barrier"
    barrier.touch()
    parents = pair.put(*numbered(0, 100))
    held = pair.put({"hold": str(barrier), "key": "product-0"})
    merge(pair, *open_shards(pair))
    children = pair.put(*numbered(100, 150))

    with pair.running(batch_size=100) as mapping:
        assert eventually(lambda: len(delivered(pair)) == 101)
        assert not mapping.drained()
        assert Counter(delivered(pair)) == Counter(parents + held)
        barrier.unlink()
        assert eventually(mapping.drained)

    assert_keys_in_order(pair, parents + held + children)


def test_a_parent_that_was_done_is_not_read_again_after_a_restart(rig: Rig) -> None:
    sent = rig.put(*numbered(0, 30))
    with rig.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)
    split(rig, *open_shards(rig))
    with rig.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)
    sent += rig.put(*numbered(30, 60))
    opened = []
    rig.kinesis.meta.events.register(
        "provide-client-params.kinesis.GetShardIterator",
        lambda params, **kwargs: opened.append(params["ShardId"]),
    )

    for _ in range(2):
        with rig.running(batch_size=10) as mapping:
            assert eventually(mapping.drained)

    assert Counter(opened) == {each["ShardId"]: 2 for each in open_shards(rig)}
    assert_keys_in_order(rig, sent)


def test_a_split_while_nobody_reads_is_found_at_the_restart(rig: Rig) -> None:
    sent = rig.put(*numbered(0, 30))
    with rig.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)
    sent += rig.put(*numbered(30, 60))
    split(rig, *open_shards(rig))
    sent += rig.put(*numbered(60, 90))

    with rig.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)

    assert_keys_in_order(rig, sent)


def test_latest_holds_for_the_shards_of_its_time_and_skips_nothing_of_their_children(rig: Rig) -> None:
    rig.put(*numbered(0, 10))
    with rig.running(batch_size=10, starting_position="LATEST") as mapping:
        assert eventually(mapping.drained)
        split(rig, *open_shards(rig))
        sent = rig.put(*numbered(10, 40))
        assert eventually(mapping.drained)

    assert_keys_in_order(rig, sent)


def test_latest_on_a_stream_that_was_split_before_starts_at_its_open_shards(rig: Rig) -> None:
    rig.put(*numbered(0, 10))
    split(rig, *open_shards(rig))
    rig.put(*numbered(10, 20))

    with rig.running(batch_size=10, starting_position="LATEST") as mapping:
        sent = rig.put(*numbered(20, 40))
        assert eventually(mapping.drained)

    assert_keys_in_order(rig, sent)


def test_the_horizon_of_a_stream_that_was_split_begins_with_the_closed_parent(rig: Rig) -> None:
    sent = rig.put(*numbered(0, 10))
    split(rig, *open_shards(rig))
    sent += rig.put(*numbered(10, 20))

    with rig.running(batch_size=10) as mapping:
        assert eventually(mapping.drained)

    assert rig.notes()[0][0]["eventID"].startswith(FIRST)
    assert_keys_in_order(rig, sent)


def test_two_generations_of_splits_are_read_in_their_order(rig: Rig) -> None:
    sent = rig.put(*numbered(0, 20))
    split(rig, *open_shards(rig))
    sent += rig.put(*numbered(20, 40))
    for shard in open_shards(rig):
        split(rig, shard)
    sent += rig.put(*numbered(40, 80))

    with rig.running(batch_size=3, parallelization_factor=3) as mapping:
        assert eventually(mapping.drained)

    assert len(shards(rig)) == 7
    assert_keys_in_order(rig, sent)
