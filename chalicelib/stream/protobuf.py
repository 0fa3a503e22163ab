"""The fields of a protobuf message, read where it lies (protobuf.dev, "Encoding").

Ours, because it makes no object of a field: protobuf's library makes one of each before it gives the first,
and takes 25 ms to import.  Groups, which no message of today has, are refused.
"""

from collections.abc import Iterator

from chalicelib.errors import InvalidAggregateError

#: Bytes of a field without a length, by wire type.
_FIXED = {1: 8, 5: 4}

#: The largest tag: a field number of 29 bits and a wire type.  It has five bytes at most, a value has ten.
_MAX_TAG = (1 << 32) - 1
_MAX_TAG_BYTES, _MAX_VALUE_BYTES = 5, 10


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield each field from `at` to `end`: its tag, its value, and where it ends.

    A tag is the field's number, times 8, plus its wire type.  The value is a number; of all but varints it is
    the place where the bytes begin.  Raises InvalidAggregateError where no field begins.
    """
    while at < end:
        begin, tag = at, data[at]
        at += 1
        if tag > 0x7F:
            tag, at = _varint(data, begin, end, _MAX_TAG_BYTES)
        wire_type = tag & 7
        if wire_type in (0, 2):  # a varint, or bytes behind their length
            if at < end and data[at] <= 0x7F:
                value = data[at]
                at += 1
            else:
                value, at = _varint(data, at, end, _MAX_VALUE_BYTES)
            if wire_type == 2:
                value, at = at, at + value
        else:
            value = at
            at += _FIXED.get(wire_type, end)
        if at > end or not 1 << 3 <= tag <= _MAX_TAG:
            raise InvalidAggregateError(f"no field begins at byte {begin} of the aggregate")
        yield tag, value, at


def _varint(data: bytes, at: int, end: int, longest: int) -> tuple[int, int]:
    """The number of at most `longest` bytes at a place, and where it ends."""
    begin, value, shift = at, 0, 0
    while at < end and shift < 7 * longest:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte <= 0x7F:
            return value, at
        shift += 7
    raise InvalidAggregateError(f"no number stands at byte {begin} of the aggregate")
