"""The KPL's format: every record that can be read, and a sentence for everything that cannot."""

import random
import subprocess
import sys
import time
import tracemalloc
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stream import kpl
from cli.paths import ROOT
from tests.support.aggregates import aggregated, aggregated_record, dense, field, message, packed

EVENT = b'{"serial":"SN-1","type":"note","occurred_at":"2026-01-01T00:00:00Z"}'

keys = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4)
numbers = st.integers(0, 2**64 - 1)
texts = st.none() | st.text(max_size=3)
#: Wire bytes that are nearly a message: fields of known and unknown numbers, one in another, cut and joined.
fields = st.recursive(
    st.binary(max_size=6) | st.builds(field, st.integers(0, 6), numbers | st.integers(0, 3)),
    lambda inside: st.builds(field, st.integers(0, 6), st.lists(inside, max_size=4).map(b"".join)),
    max_leaves=12,
)
messages = st.lists(fields, max_size=6).map(b"".join)


@st.composite
def valid_messages(draw: st.DrawFn) -> Any:
    """An AggregatedRecord with everything that the definitions allow."""
    aggregate = aggregated_record()
    aggregate.partition_key_table.extend(draw(keys))
    aggregate.explicit_hash_key_table.extend(draw(st.lists(st.text(max_size=3), max_size=2)))
    for _ in range(draw(st.integers(0, 6))):
        record = aggregate.records.add(
            partition_key_index=draw(st.integers(0, len(aggregate.partition_key_table) - 1)),
            data=draw(st.binary(max_size=300).filter(lambda data: not kpl.is_aggregate(data))),
        )
        if (index := draw(st.none() | numbers)) is not None:
            record.explicit_hash_key_index = index
        for key in draw(st.lists(texts, max_size=2)):
            record.tags.add(key=key or "", value=key)
    return aggregate


def read(data: bytes) -> tuple[list[kpl.Inner], str]:
    """What an aggregate gives, and its flaw."""
    aggregate = kpl.Aggregate(data)
    return list(aggregate), aggregate.flaw


def by_library(wire: bytes) -> list[tuple[int, bytes]] | None:
    """Key indices and data as protobuf's library reads them; None when it refuses the message."""
    aggregate = aggregated_record()
    try:
        aggregate.ParseFromString(wire)
    except DecodeError:
        return None
    return [(record.partition_key_index, record.data) for record in aggregate.records]


@given(valid_messages(), st.randoms(use_true_random=False))
def test_every_valid_message_is_read_as_protobuf_s_library_reads_it(
    aggregate: Any, chance: random.Random
) -> None:
    expected = [
        (record.data, aggregate.partition_key_table[record.partition_key_index], "", "")
        for record in aggregate.records
    ]

    assert read(packed(aggregate.SerializeToString())) == (expected, "")


@given(valid_messages())
def test_keys_may_stand_behind_the_records_that_name_them(aggregate: Any) -> None:
    wire = b"".join(field(3, record.SerializeToString()) for record in aggregate.records)
    wire += b"".join(field(1, key.encode()) for key in aggregate.partition_key_table)

    assert read(packed(wire)) == read(packed(aggregate.SerializeToString()))


@given(messages)
def test_nothing_of_any_message_is_lost_in_silence(wire: bytes) -> None:
    """What protobuf's library refuses, or reads otherwise, has a flaw; nothing raises."""
    given_, flaw = read(packed(wire))

    by_the_library = by_library(wire)
    if by_the_library is None:
        assert flaw or any(record[2] for record in given_)
        return
    if not flaw:
        assert len(given_) == len(by_the_library)
    for (data, _, own_flaw, _), (_, expected) in zip(given_, by_the_library, strict=False):
        assert own_flaw or data == expected


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_aggregate_never_raises_and_never_loses_a_record(seed: int) -> None:
    """5,000 aggregates with bytes changed, cut out and put in; half of them with a checksum that fits."""
    chance = random.Random(seed)
    records = [(chance.randrange(3), chance.choice([EVENT, b"", b"?", kpl.KPL_MAGIC])) for _ in range(5)]
    whole = message(["a", "", "k" * 300], records)
    for number in range(5_000):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(damaged))
            if chance.random() < 0.5:
                damaged[at] = chance.randrange(256)
            elif chance.random() < 0.5:
                del damaged[at : at + chance.randint(1, 3)]
            else:
                damaged[at:at] = chance.randbytes(chance.randint(1, 3))
        wire = bytes(damaged)
        if number % 2:
            assert read(kpl.KPL_MAGIC + wire + b"\0" * 16) == ([], WRONG)
            continue
        given_, flaw = read(packed(wire))
        expected = by_library(wire)
        if not flaw and all(record[2] == "" for record in given_):
            assert expected is not None
            assert [record[0] for record in given_] == [data for _, data in expected]


WRONG = "the aggregate's checksum is wrong: its message is damaged, or is none"


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        pytest.param(
            kpl.KPL_MAGIC, "the aggregate has 4 bytes and ends before its checksum", id="a mark alone"
        ),
        pytest.param(aggregated(EVENT)[:-1] + b"!", WRONG, id="another checksum"),
        pytest.param(aggregated(EVENT)[:-1], WRONG, id="cut off"),
        pytest.param(
            aggregated(EVENT) + b"\r\n",
            "bytes behind the aggregate's checksum, which fits without them (in hex): 0d 0a",
            id="a line's end behind it",
        ),
    ],
)
def test_of_an_aggregate_whose_checksum_does_not_fit_nothing_is_believed(data: bytes, flaw: str) -> None:
    assert read(data) == ([], flaw)


GOOD = (EVENT, "a", "", "")
NO_MESSAGE = "what the aggregate holds is not a protobuf message"
#: Where what is put behind an aggregate with one good record begins.
AT = len(kpl.KPL_MAGIC) + len(message(["a"], [(0, EVENT)]))


@pytest.mark.parametrize(
    ("more", "flaw"),
    [
        pytest.param(
            field(4, b"x"),
            "the aggregate holds field 4 of wire type 2, which the format does not have",
            id="a field",
        ),
        pytest.param(
            field(3, 7),
            "the aggregate holds field 3 of wire type 0, which the format does not have",
            id="a number",
        ),
        pytest.param(
            b"\x1a\x05ab",
            f"{NO_MESSAGE}: no field begins at byte {AT} of the aggregate",
            id="a length beyond the end",
        ),
        pytest.param(
            b"\x1b\x1c",
            f"{NO_MESSAGE}: no field begins at byte {AT} of the aggregate",
            id="a group",
        ),
        pytest.param(
            b"\x1a\xff",
            f"{NO_MESSAGE}: no number stands at byte {AT + 1} of the aggregate",
            id="half a length",
        ),
    ],
)
def test_of_an_aggregate_with_a_flaw_of_its_own_the_records_that_can_be_read_are_given(
    more: bytes, flaw: str
) -> None:
    assert read(packed(message(["a"], [(0, EVENT)]) + more)) == ([GOOD], flaw)


@pytest.mark.parametrize(
    ("inner", "flaw"),
    [
        pytest.param(b"", "it holds no `data`", id="nothing"),
        pytest.param(
            field(1, 0) + field(3, EVENT) + field(3, b"2"), "it holds `data` twice", id="data twice"
        ),
        pytest.param(
            field(3, EVENT) + field(9, b"x"),
            "it holds field 9 of wire type 2, which the format does not have",
            id="a field of another format",
        ),
        pytest.param(
            field(3, EVENT)[:-1], f"no field begins at byte {AT + 2} of the aggregate", id="data cut off"
        ),
    ],
)
def test_a_flawed_record_stands_whole_between_its_neighbours(inner: bytes, flaw: str) -> None:
    good = field(3, field(1, 0) + field(3, EVENT))

    given_ = read(packed(field(1, b"a") + good + field(3, inner) + good))

    assert given_ == ([GOOD, (inner, None, flaw, ""), GOOD], "")


def test_a_record_whose_data_is_an_aggregate_is_flawed_and_keeps_its_data() -> None:
    nested = aggregated(EVENT)

    given_, flaw = read(packed(message(["a"], [(0, EVENT), (0, nested)])))

    assert (given_, flaw) == (
        [GOOD, (nested, "a", "its data is an aggregate, and aggregates do not nest", "")],
        "",
    )


@pytest.mark.parametrize(
    ("key", "flaw"),
    [
        (b"", "partition key 0 has 0 characters; Kinesis takes 1 to 256 characters"),
        (b"k" * 257, "partition key 0 has 257 characters; Kinesis takes 1 to 256 characters"),
        (b"k" * 1025, "partition key 0 has 1025 bytes; Kinesis takes 1 to 256 characters"),
        (b"\xff\xfe", "partition key 0 is not UTF-8"),
    ],
)
def test_a_partition_key_that_kinesis_would_not_take_is_the_flaw_of_its_records_keys_alone(
    key: bytes, flaw: str
) -> None:
    by_key = [field(3, field(1, index) + field(3, EVENT)) for index in (0, 1)]

    given_ = read(packed(field(1, key) + field(1, b"a") + b"".join(by_key)))

    assert given_ == ([(EVENT, None, "", flaw), GOOD], "")


@pytest.mark.parametrize(
    ("inner", "flaw"),
    [
        (field(3, EVENT), "it names no partition key"),
        (field(1, 1) + field(3, EVENT), "it names partition key 1, counted from 0, of 1"),
        (field(1, 2**64 - 1) + field(3, EVENT), f"it names partition key {2**64 - 1}, counted from 0, of 1"),
    ],
)
def test_a_record_that_names_no_key_of_the_table_has_no_key(inner: bytes, flaw: str) -> None:
    assert read(packed(field(1, b"a") + field(3, inner))) == ([(EVENT, None, "", flaw)], "")


def test_the_longest_key_is_the_longest_that_kinesis_takes() -> None:
    key = "\N{ROCKET}" * kpl.MAX_KEY_CHARACTERS

    assert read(aggregated(EVENT, key=key)) == ([(EVENT, key, "", "")], "")


@pytest.mark.parametrize(
    "wire", [b"", field(1, b"a"), field(2, b"1")], ids=["empty", "keys alone", "a hash key"]
)
def test_an_aggregate_of_nothing_is_nothing(wire: bytes) -> None:
    assert read(packed(wire)) == ([], "")


def test_tags_and_hash_keys_are_read_over() -> None:
    inner = field(1, 0) + field(2, 7) + field(4, field(1, b"tag") + field(2, b"value")) + field(3, EVENT)

    assert read(packed(field(1, b"a") + field(2, b"not a number") + field(3, inner))) == ([GOOD], "")


@pytest.mark.parametrize(
    ("inner", "keys"),
    [
        pytest.param(b"", (b"k",), id="records of two bytes"),
        pytest.param(field(3, b"?"), (b"",) * 50_000, id="mostly keys"),
        pytest.param(field(1, 0) + field(3, EVENT), (b"k",), id="events"),
    ],
)
def test_an_aggregate_is_read_without_holding_its_records(inner: bytes, keys: tuple[bytes, ...]) -> None:
    data = dense(inner, 128 * 1024, keys)
    tracemalloc.start()
    try:
        count = sum(1 for _ in kpl.Aggregate(data))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == data.count(field(3, inner))
    assert most < 10_000 + 9 * len(keys)


def test_a_key_of_half_a_megabyte_is_not_decoded_for_each_record_that_names_it() -> None:
    data = dense(field(1, 0) + field(3, b"?"), 1024 * 1024, ["\N{ROCKET}".encode() * 125_000])
    started = time.process_time()

    flaws = {key_flaw for *_, key_flaw in kpl.Aggregate(data)}

    assert flaws == {"partition key 0 has 500000 bytes; Kinesis takes 1 to 256 characters"}
    assert time.process_time() - started < 10  # one is decoded in a millisecond, and 78,000 records name it


def test_reading_an_aggregate_needs_no_library() -> None:
    script = (
        "from chalicelib.stream import kpl, records; import sys;"
        "list(kpl.Aggregate(kpl.KPL_MAGIC + bytes(16)));"
        "assert not {'google.protobuf', 'aws_kinesis_agg'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
