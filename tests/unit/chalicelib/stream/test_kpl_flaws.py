"""Aggregates with a flaw: what can be read is read, and each flaw is named."""

import pytest

from chalicelib.stream import kpl
from tests.support.aggregates import aggregated, field, message, packed

EVENT = b'{"serial":"SN-1","type":"note","occurred_at":"2026-01-01T00:00:00Z"}'


def read(data: bytes) -> tuple[list[kpl.Inner], str]:
    """What an aggregate gives, and its flaw."""
    aggregate = kpl.Aggregate(data)
    return list(aggregate), aggregate.flaw


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
