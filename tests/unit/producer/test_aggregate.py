"""Aggregated records: what goes in comes out, on the shard and in the order that it would have had alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import md5

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.stream import records
from chalicelib.stream.records import Record
from producer.aggregate import UNIT_BYTES, Aggregator, HashRange, aggregate
from producer.entry import Entry, size_of

#: Four shards, their ranges as Kinesis divides the hash keys.
SHARDS = [HashRange(number * 2**126, f"shardId-{number}") for number in range(4)]

entries = st.tuples(st.binary(max_size=30), st.sampled_from(["a", "bb", "SN-3", "é"])).map(
    lambda pair: Entry(*pair)
)


def read(record: Entry) -> list[Record]:
    """The user records that ingest, triage and replay would find."""
    found = Record(
        stream="s",
        shard_id="0",
        sequence_number="1",
        partition_key=record.partition_key,
        arrived_at_ms=0,
        data=record.data,
    )
    return list(records.deaggregate(found))


def put(
    given: Iterable[Entry | None], shards: Sequence[HashRange] = SHARDS, unit: int = UNIT_BYTES
) -> list[Entry]:
    return [record for record in Aggregator(shards, unit).records(given) if record is not None]


def shard_alone(partition_key: str) -> str:
    """Where Kinesis puts a record of this key (API reference, PutRecord)."""
    hash_key = int(md5(partition_key.encode()).hexdigest(), 16)
    return max(shard for shard in SHARDS if shard.start <= hash_key).shard_id


@given(st.lists(entries | st.none()), st.integers(80, 200))
def test_what_goes_in_comes_out_on_its_shard_in_its_order(given_: list[Entry | None], unit: int) -> None:
    expected = defaultdict(list)
    for entry in given_:
        if entry is not None:
            expected[shard_alone(entry.partition_key)].append((entry.partition_key, entry.data))

    found = defaultdict(list)
    for record in put(given_, unit=unit):
        (shard,) = (shard for shard in SHARDS if str(shard.start) == record.hash_key)
        assert record.partition_key == shard.shard_id
        if len(record.data) <= unit:
            found[shard.shard_id] += [(inner.partition_key, inner.data) for inner in read(record)]
        else:  # too large to share a record
            (single,) = record.holds
            assert record.data == single.data
            found[shard.shard_id].append((single.partition_key, record.data))

    assert found == expected


@settings(max_examples=30)
@given(st.lists(entries, min_size=1, max_size=8))
def test_the_format_is_the_kinesis_producer_librarys(given_: list[Entry]) -> None:
    theirs = RecordAggregator()
    for entry in given_:
        theirs.add_user_record(entry.partition_key, entry.data)

    ours = read(Entry(aggregate(given_), "any"))
    theirs_read = read(Entry(theirs.clear_and_get().get_contents()[2], "any"))

    assert [(r.partition_key, r.data, r.sub) for r in ours] == [
        (r.partition_key, r.data, r.sub) for r in theirs_read
    ]


def test_units_of_25_kb_are_filled_and_never_exceeded() -> None:
    full = put(Entry(b"x" * 300, f"SN-{number:08d}") for number in range(10_000))

    sizes = [size_of(record) for record in full]
    assert max(sizes) <= UNIT_BYTES
    assert sum(-(-size // UNIT_BYTES) for size in sizes) / 10_000 <= 0.02
    assert sorted(sizes)[len(SHARDS)] > 0.97 * UNIT_BYTES  # all but each shard's last


def test_none_lets_out_what_was_gathered() -> None:
    few = [Entry(b"1", "a"), Entry(b"2", "a")]
    gathering = Aggregator(SHARDS)
    put_out = gathering.records([*few, None, *few])

    first = next(put_out)

    assert first is not None
    assert first.singles == tuple(few)
    assert next(put_out) is None


def test_what_is_gathered_when_a_run_is_cut_short_is_known() -> None:
    gathering = Aggregator(SHARDS)

    def cut_short() -> Iterable[Entry]:
        yield Entry(b"1", "a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(gathering.records(cut_short()))

    assert gathering.gathered() == [Entry(b"1", "a")]


@given(st.lists(entries), st.lists(entries), st.integers(80, 200))
def test_when_the_stream_is_resharded_nothing_is_lost_and_what_comes_goes_to_the_new_shards(
    before: list[Entry], after: list[Entry], unit: int
) -> None:
    halves = [HashRange(number * 2**127, f"shardId-{number + 4}") for number in range(2)]
    aggregator = Aggregator(SHARDS, unit)

    def given_() -> Iterator[Entry]:
        yield from before
        assert aggregator.is_outdated({"shardId-0", "shardId-4"})
        aggregator.reshard(halves, {"shardId-0", "shardId-4"})
        yield from after

    put_ = [record for record in aggregator.records(given_()) if record is not None]

    found = [(each.partition_key, each.data) for record in put_ for each in record.singles]
    assert sorted(found) == sorted((each.partition_key, each.data) for each in before + after)
    for key in {key for key, _ in found}:
        expected = [each.data for each in before + after if each.partition_key == key]
        assert [data for found_key, data in found if found_key == key] == expected
    for record in put_:
        if record.partition_key in {"shardId-4", "shardId-5"}:
            half = halves[int(record.partition_key[-1]) - 4]
            assert record.hash_key == str(half.start)
            for single in record.singles:
                hash_key = int(md5(single.partition_key.encode()).hexdigest(), 16)
                assert half.start <= hash_key < half.start + 2**127
    in_new = sum(len(record.singles) for record in put_ if record.partition_key in {"shardId-4", "shardId-5"})
    assert in_new == len(after)


def test_a_shard_that_is_closed_again_already_is_asked_about_once() -> None:
    aggregator = Aggregator(SHARDS)
    assert not aggregator.is_outdated({"shardId-0", "shardId-3"})

    assert aggregator.is_outdated({"shardId-0", "shardId-4"})
    aggregator.reshard([HashRange(0, "shardId-9")], {"shardId-0", "shardId-4"})

    assert not aggregator.is_outdated({"shardId-0", "shardId-4"})
    list(aggregator.records([Entry(b"x", "k")]))
    assert not aggregator.is_outdated({"shardId-0", "shardId-4", "shardId-9"})
