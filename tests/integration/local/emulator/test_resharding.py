"""Shards of the embedded endpoint: split, merged and counted as on Kinesis, with nothing lost on the way."""

import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from local.aws import client
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
def four(kinesis: Any) -> Iterator[str]:
    """A stream with four shards."""
    with made(kinesis, 4) as name:
        yield name


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
