"""Fields of a protobuf message where they lie, refused where protobuf's library refuses them."""

import pytest
from google.protobuf.message import DecodeError

from chalicelib.errors import InvalidAggregateError
from chalicelib.stream import protobuf
from tests.support.aggregates import aggregated_record, field, varint

#: A field that the library does not know, of every wire type, and with tags and values of every length.
WHOLE = {
    "a varint": field(9, 150),
    "the largest value": field(9, 2**64 - 1),
    "a value with needless bytes": varint(9 << 3) + b"\x85\x80\x00",
    "bytes": field(9, b"abc"),
    "many bytes": field(9, b"x" * 300),
    "eight bytes": varint(9 << 3 | 1) + b"12345678",
    "four bytes": varint(9 << 3 | 5) + b"1234",
    "a tag of two bytes": field(16, b"abc"),
    "the largest tag": field(2**29 - 1, b"abc"),
    "a tag with needless bytes": b"\xca\x80\x80\x80\x00" + b"\x01x",
}
BROKEN = {
    "field 0": field(0, 1),
    "a tag of more than 32 bits": varint(2**32 | 9 << 3) + b"\x00",
    "a tag of six bytes": b"\xca\x80\x80\x80\x80\x00" + b"\x01x",
    "half a tag": b"\xca",
    "a tag alone": varint(9 << 3),
    "half a value": varint(9 << 3) + b"\xff",
    "a value of eleven bytes": varint(9 << 3) + b"\xff" * 10 + b"\x01",
    "fewer bytes than their length": field(9, b"abc")[:-1],
    "seven of eight bytes": varint(9 << 3 | 1) + b"1234567",
    "three of four bytes": varint(9 << 3 | 5) + b"123",
    "the end of a group": varint(9 << 3 | 4),
    "wire type 6": varint(9 << 3 | 6) + b"\x00",
}


def is_taken_by_library(wire: bytes) -> bool:
    try:
        aggregated_record().ParseFromString(wire)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("wire", WHOLE.values(), ids=WHOLE)
def test_a_field_ends_where_the_next_begins(wire: bytes) -> None:
    assert is_taken_by_library(wire)

    (first, second) = protobuf.fields(b"?" + wire + b"\x08\x07" + b"?", 1, len(wire) + 3)

    assert first[2] == 1 + len(wire)
    assert second == (0x08, 7, len(wire) + 3)


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN)
def test_what_is_no_field_is_refused_whatever_stands_behind_the_end(wire: bytes) -> None:
    assert not is_taken_by_library(wire)

    with pytest.raises(InvalidAggregateError, match=r"at byte \d+ of the aggregate"):
        list(protobuf.fields(wire + b"\x01" * 20, 0, len(wire)))


def test_a_field_is_its_tag_its_value_and_its_end() -> None:
    assert list(protobuf.fields(field(1, 150) + field(3, b"abc"), 0, 8)) == [(0x08, 150, 3), (0x1A, 5, 8)]
