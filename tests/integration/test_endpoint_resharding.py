"""Shards of the embedded endpoint: split, merged and counted as on Kinesis, with nothing lost on the way."""

import contextlib
import itertools
import time
import types
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from local import endpoint, long_polls, ministack, resharding, stream_shards
from local.shard_reader import ShardReader, Start, client_config
from tests.shards import (
    HASH_KEYS,
    hash_range,
    is_open,
    merge,
    open_shards,
    parents,
    parents_first,
    read,
    scale,
    shards,
    split,
)


@pytest.fixture
def kinesis(aws: str) -> Iterator[Any]:
    client = boto3.client("kinesis", config=client_config(4))
    long_polls.allow(client)
    yield client
    client.close()


@contextlib.contextmanager
def made(kinesis: Any, count: int) -> Iterator[str]:
    """A stream with so many shards."""
    name = f"resharding-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=count)
    try:
        yield name
    finally:
        kinesis.delete_stream(StreamName=name)


@pytest.fixture
def single(kinesis: Any) -> Iterator[str]:
    """A stream with one shard."""
    with made(kinesis, 1) as name:
        yield name


@pytest.fixture
def four(kinesis: Any) -> Iterator[str]:
    """A stream with four shards."""
    with made(kinesis, 4) as name:
        yield name


def put(kinesis: Any, stream: str, *entries: tuple[str, bytes]) -> list[str]:
    """Puts partition keys with their data; the sequence numbers."""
    answer = kinesis.put_records(
        StreamName=stream, Records=[{"PartitionKey": key, "Data": data} for key, data in entries]
    )
    return [each["SequenceNumber"] for each in answer["Records"]]


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and words of an answer that refuses."""
    with pytest.raises(ClientError) as refused:
        call()
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def ranges(kinesis: Any, stream: str) -> list[tuple[int, int]]:
    return [hash_range(shard) for shard in open_shards(kinesis, stream)]


def test_whatever_is_done_to_the_shards_every_record_is_read_once_and_every_key_in_order(
    kinesis: Any,
) -> None:
    numbers = st.integers(0, 10_000)
    change = st.tuples(st.sampled_from(["split", "merge", "scale"]), numbers)
    puts = st.tuples(st.just("put"), st.integers(1, 30))

    @settings(max_examples=30)
    @given(st.integers(1, 5), st.lists(change | puts, min_size=1, max_size=12))
    def holds(count: int, steps: list[tuple[str, int]]) -> None:
        sent: dict[str, list[bytes]] = defaultdict(list)
        ticket = itertools.count()
        with made(kinesis, count) as stream:
            for step, number in [*steps, ("put", 30)]:
                opened = open_shards(kinesis, stream)
                if step == "put":
                    entries = [(f"product-{n % 7}", b"%d" % n) for n in itertools.islice(ticket, number)]
                    put(kinesis, stream, *entries)
                    for key, data in entries:
                        sent[key].append(data)
                elif step == "split":
                    split(kinesis, stream, opened[number % len(opened)])
                elif step == "merge" and len(opened) > 1:
                    at = number % (len(opened) - 1)
                    merge(kinesis, stream, *opened[at : at + 2])
                elif step == "scale":
                    least = -(-len(opened) // 2)
                    wanted = least + number % (2 * len(opened) - least + 1)
                    scale(kinesis, stream, wanted)
                    assert len(ranges(kinesis, stream)) == wanted
                first, *_, last = [end for each in ranges(kinesis, stream) for end in each]
                assert (first, last) == (0, HASH_KEYS - 1)
                assert all(
                    one[1] + 1 == other[0] for one, other in itertools.pairwise(ranges(kinesis, stream))
                )

            found: dict[str, list[bytes]] = defaultdict(list)
            listed = shards(kinesis, stream)
            for shard in parents_first(listed):
                records, children = read(kinesis, stream, shard["ShardId"], page=7)
                assert (children is None) == is_open(shard)
                assert {each["ShardId"] for each in children or ()} == {
                    each["ShardId"] for each in listed if shard["ShardId"] in parents(each)
                }
                for record in records:
                    found[record["PartitionKey"]].append(record["Data"])
            assert found == sent

    holds()


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


def test_four_shards_become_three_by_the_splits_and_merges_that_aws_makes(kinesis: Any, four: str) -> None:
    answer = scale(kinesis, four, 3)

    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (4, 3)
    # As AWS numbered them: risingwavelabs/risingwave #9961.
    assert [int(shard["ShardId"][-2:]) for shard in open_shards(kinesis, four)] == [6, 9, 10]
    assert len(shards(kinesis, four)) == 11


@pytest.mark.parametrize("counts", [[8, 4], [6, 3], [5, 7, 4], [2, 1, 2]])
def test_a_shard_count_gives_the_ranges_of_a_stream_made_with_it(
    kinesis: Any, four: str, counts: list[int]
) -> None:
    for count in counts:
        scale(kinesis, four, count)
        with made(kinesis, count) as new:
            assert ranges(kinesis, four) == ranges(kinesis, new)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_doubling_and_halving_touch_every_shard_once(kinesis: Any, count: int) -> None:
    with made(kinesis, count) as stream:
        scale(kinesis, stream, 2 * count)
        assert len(shards(kinesis, stream)) == count + 2 * count
        scale(kinesis, stream, count)
        assert len(shards(kinesis, stream)) == count + 2 * count + count
        scale(kinesis, stream, count)
        assert len(shards(kinesis, stream)) == count + 2 * count + count


@pytest.mark.parametrize("count", [0, 1, 9])
def test_more_than_twice_or_less_than_half_of_the_open_shards_is_refused(
    kinesis: Any, four: str, count: int
) -> None:
    split(kinesis, four, open_shards(kinesis, four)[0])
    merge(kinesis, four, *open_shards(kinesis, four)[:2])  # four are open and three are closed
    before = shards(kinesis, four)

    code, words = refusal(lambda: scale(kinesis, four, count))

    assert code == "LimitExceededException"
    assert words.endswith(f"Current open shard count: 4, Target shard count: {count}")
    assert shards(kinesis, four) == before


def test_a_shard_is_split_or_merged_once(kinesis: Any, four: str) -> None:
    one, two, three, _ = open_shards(kinesis, four)
    split(kinesis, four, one)
    merge(kinesis, four, two, three)
    before = shards(kinesis, four)

    for again in (
        lambda: split(kinesis, four, one),
        lambda: split(kinesis, four, three),
        lambda: merge(kinesis, four, one, two),
    ):
        code, words = refusal(again)
        assert code == "InvalidArgumentException"
        assert words.endswith(
            "has already been merged or split, and thus is not eligible for merging or splitting."
        )
    assert shards(kinesis, four) == before


def test_what_cannot_be_split_or_merged_is_refused(kinesis: Any, four: str) -> None:
    one, _, three, _ = open_shards(kinesis, four)

    assert refusal(lambda: merge(kinesis, four, one, three))[0] == "InvalidArgumentException"
    assert refusal(lambda: merge(kinesis, four, one, one))[0] == "InvalidArgumentException"
    for at in (*hash_range(one), hash_range(one)[0] + 1, hash_range(three)[0]):
        code, _ = refusal(
            lambda at=at: kinesis.split_shard(
                StreamName=four, ShardToSplit=one["ShardId"], NewStartingHashKey=str(at)
            )
        )
        assert code == "InvalidArgumentException"
    nonsense = {"ShardToSplit": one["ShardId"], "NewStartingHashKey": "the middle"}
    assert refusal(lambda: kinesis.split_shard(StreamName=four, **nonsense))[0] == "ValidationException"
    unknown = {**one, "ShardId": "shardId-000000000099"}
    assert refusal(lambda: split(kinesis, four, unknown))[0] == "ResourceNotFoundException"
    assert refusal(lambda: scale(kinesis, "no-such-stream", 2))[0] == "ResourceNotFoundException"
    assert len(shards(kinesis, four)) == 4


def test_the_shards_of_an_on_demand_stream_are_nobody_s_business(kinesis: Any) -> None:
    name = f"on-demand-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})

    assert refusal(lambda: scale(kinesis, name, 2))[0] == "ValidationException"
    assert refusal(lambda: split(kinesis, name, *shards(kinesis, name)))[0] == "ValidationException"
    kinesis.delete_stream(StreamName=name)


def test_a_read_that_waits_hears_of_the_shards_end_at_once_and_none_waits_behind_it(
    kinesis: Any, single: str
) -> None:
    reader = ShardReader(kinesis, single, "shardId-000000000000", Start.oldest())
    reader.open(time.time())
    began = time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.read, 10, time.time(), long_polls.LONGEST_S)
        split(kinesis, single, *open_shards(kinesis, single))
        assert reading.result().is_end
    again = ShardReader(kinesis, single, "shardId-000000000000", Start.oldest())
    assert all(again.read(10, time.time(), long_polls.LONGEST_S).is_end for _ in range(3))

    assert time.monotonic() - began < long_polls.LONGEST_S


def test_a_stream_that_was_resharded_survives_a_restart_with_everything_on_it(
    kinesis: Any, tmp_path: Path
) -> None:
    first = endpoint.start(log_path=tmp_path / "log", state_dir=tmp_path / "state")
    there = boto3.client("kinesis", endpoint_url=first.url)
    there.create_stream(StreamName="kept", ShardCount=2)
    put(there, "kept", ("k", b"before"))
    scale(there, "kept", 3)
    put(there, "kept", ("k", b"after"))
    before = shards(there, "kept")
    first.stop()

    second = endpoint.start(log_path=tmp_path / "log", state_dir=tmp_path / "state")
    try:
        there = boto3.client("kinesis", endpoint_url=second.url)
        assert shards(there, "kept") == before
        found = [read(there, "kept", shard["ShardId"]) for shard in parents_first(before)]
        assert [record["Data"] for each in found for record in each.records] == [b"before", b"after"]
        assert [each.children is None for each in found] == [is_open(each) for each in parents_first(before)]
        scale(there, "kept", 6)  # and its shards go on being counted
        assert len(ranges(there, "kept")) == 6
        assert len({shard["ShardId"] for shard in shards(there, "kept")}) == len(before) + 6
    finally:
        second.stop()


@pytest.fixture
def ministack_of_ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MiniStack's Kinesis in this process, put back afterwards; `now` is the time when a shard is closed."""
    from ministack.services import kinesis, lambda_svc
    from ministack.services.cloudformation import provisioners

    names = (
        *resharding._READS,
        *resharding._CHANGES,
        *resharding._USED,
        "_expire_records",
        "_expire_iterators",
    )
    for name in names:
        monkeypatch.setattr(kinesis, name, getattr(kinesis, name))
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Kinesis::Stream"]
    monkeypatch.setitem(handlers, "update", handlers["update"])
    own = types.SimpleNamespace(now=time.time(), kinesis=kinesis)
    ministack.skip_needless_expiry(kinesis)
    resharding.grant(kinesis, provisioners, lambda_svc, clock=lambda: own.now)
    yield own
    kinesis.reset()


def test_a_closed_shard_goes_when_its_retention_is_over_and_its_records_as_theirs_is(
    ministack_of_ours: Any,
) -> None:
    kinesis = ministack_of_ours.kinesis
    hour = 3600.0
    really_now = time.time()
    kinesis._create_stream({"StreamName": "s", "ShardCount": 1})
    stream = kinesis._streams["s"]
    for data in ("b2xk", "bmV3"):
        kinesis._put_record({"StreamName": "s", "PartitionKey": "k", "Data": data})
    [parent] = stream["shards"].values()
    parent["records"][0]["ApproximateArrivalTimestamp"] = really_now - 25 * hour
    parent["records"][1]["ApproximateArrivalTimestamp"] = really_now - 23 * hour

    ministack_of_ours.now = really_now - 22 * hour
    kinesis._split_shard(
        {"StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": str(2**127)}
    )
    ministack_of_ours.now = really_now
    kinesis._describe_stream({"StreamName": "s"})
    assert [len(shard["records"]) for shard in stream["shards"].values()] == [1, 0, 0]

    ministack_of_ours.now = really_now + 2.1 * hour
    kinesis._list_shards({"StreamName": "s"})
    assert sorted(stream["shards"]) == ["shardId-000000000001", "shardId-000000000002"]
    assert len(stream_shards.open_shards(stream)) == 2


def test_a_ministack_that_has_changed_is_left_alone() -> None:
    changed = types.SimpleNamespace(_split_shard=print)

    resharding.grant(changed, types.SimpleNamespace(), types.SimpleNamespace())

    assert changed._split_shard is print
