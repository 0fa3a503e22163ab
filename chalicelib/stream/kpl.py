"""The KPL's aggregation format: many user records in the data of one Kinesis record.

The format (awslabs/amazon-kinesis-producer, aggregation-format.md) is a mark of four bytes, a protobuf
message, and the message's MD5::

    message AggregatedRecord {
      repeated string partition_key_table     = 1;
      repeated string explicit_hash_key_table = 2;
      repeated Record records                 = 3;
    }
    message Record {
      required uint64 partition_key_index     = 1;
      optional uint64 explicit_hash_key_index = 2;
      required bytes  data                    = 3;
      repeated Tag    tags                    = 4;
    }

The message is read one record at a time, because a megabyte holds 524,271 records of two bytes.  The library
for this format, aws-kinesis-agg, holds all of them at once; it prints an error and drops the rest where an
index points nowhere, and tells neither of a second `data` in a record nor of a field that is not above.

Whatever can be read is given, and whatever cannot is named: a flawed record stands between its neighbours
with its flaw; if the message itself breaks off, the records before that place are given first.  Explicit hash
keys and tags are skipped, as the Kinesis Client Library skips them.
"""

from array import array
from collections.abc import Iterator
from hashlib import md5

from chalicelib.errors import InvalidAggregateError
from chalicelib.stream import protobuf

#: How an aggregated record's data begins.  These bytes are not UTF-8, so no event begins with them.
KPL_MAGIC = b"\xf3\x89\x9a\xc2"
_MD5_BYTES = 16

#: The longest partition key (Kinesis API reference, PutRecord), and the bytes it has at most.
MAX_KEY_CHARACTERS = 256
_MAX_KEY_BYTES = 4 * MAX_KEY_CHARACTERS

#: How many bytes behind the checksum are recognised as such: a line feed, say.
_MAX_TRAILING = 8

# A field's tag: its number, and its wire type, 0 for a varint and 2 for bytes behind their length.
_KEY_TABLE, _HASH_KEY_TABLE, _RECORDS = 1 << 3 | 2, 2 << 3 | 2, 3 << 3 | 2
_KEY_INDEX, _HASH_KEY_INDEX, _DATA, _TAGS = 1 << 3, 2 << 3, 3 << 3 | 2, 4 << 3 | 2


#: One of an aggregate's records: its data; its partition key, or None when it names none that Kinesis would
#: have taken; its flaw, with which its data is all that the aggregate holds of it; why it has no partition
#: key.  A plain tuple, because making a named one takes a third of the time of reading a record.
Inner = tuple[bytes, str | None, str, str]


class Aggregate:
    """The records inside data that begins with the mark: iterate over it, as often as needed.

    `flaw` says what is wrong with the aggregate as a whole.  With a wrong checksum it gives no record.
    """

    def __init__(self, data: bytes) -> None:
        """Read the partition keys' places, because a key may stand behind the records that name it."""
        self.flaw = _checksum_flaw(data)
        self._data = data
        self._keys = array("I")  # where each begins and ends
        self._end = len(KPL_MAGIC)  # of what can be read
        if self.flaw:
            return
        try:
            for tag, start, end in protobuf.fields(data, len(KPL_MAGIC), len(data) - _MD5_BYTES):
                self._end = end
                if tag == _RECORDS:
                    continue
                if tag == _KEY_TABLE:
                    self._keys.extend((start, end))
                elif tag != _HASH_KEY_TABLE:
                    self.flaw = self.flaw or f"the aggregate holds {_unknown(tag)}"
        except InvalidAggregateError as exc:
            self.flaw = f"what the aggregate holds is not a protobuf message: {exc}"

    def __iter__(self) -> Iterator[Inner]:
        for tag, start, end in protobuf.fields(self._data, len(KPL_MAGIC), self._end):
            if tag == _RECORDS:
                try:
                    yield self._record(start, end)
                except InvalidAggregateError as exc:
                    yield self._data[start:end], None, str(exc), ""

    def _record(self, start: int, end: int) -> Inner:
        index = data = None
        for tag, value, stop in protobuf.fields(self._data, start, end):
            if tag == _DATA:
                if data is not None:
                    raise InvalidAggregateError("it holds `data` twice")
                data = self._data[value:stop]
            elif tag == _KEY_INDEX:
                index = value
            elif tag not in (_HASH_KEY_INDEX, _TAGS):
                raise InvalidAggregateError(f"it holds {_unknown(tag)}")
        if data is None:
            raise InvalidAggregateError("it holds no `data`")
        flaw = "its data is an aggregate, and aggregates do not nest" if is_aggregate(data) else ""
        key, key_flaw = self._key(index)
        return data, key, flaw, key_flaw

    def _key(self, index: int | None) -> tuple[str | None, str]:
        if index is None:
            return None, "it names no partition key"
        if index >= len(self._keys) // 2:
            return None, f"it names partition key {index}, counted from 0, of {len(self._keys) // 2}"
        start, end = self._keys[2 * index], self._keys[2 * index + 1]
        if end - start > _MAX_KEY_BYTES:  # not decoded: half a million records may name it
            return None, f"partition key {index} has {end - start} bytes; {_KEY_RULE}"
        try:
            key = self._data[start:end].decode()
        except UnicodeDecodeError:
            return None, f"partition key {index} is not UTF-8"
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            return None, f"partition key {index} has {len(key)} characters; {_KEY_RULE}"
        return key, ""


_KEY_RULE = f"Kinesis takes 1 to {MAX_KEY_CHARACTERS} characters"


def is_aggregate(data: bytes) -> bool:
    """Whether data begins as an aggregate does."""
    return data.startswith(KPL_MAGIC)


def _checksum_flaw(data: bytes) -> str:
    if len(data) < len(KPL_MAGIC) + _MD5_BYTES:
        return f"the aggregate has {len(data)} bytes and ends before its checksum"
    if _is_checked(data, len(data)):
        return ""
    for more in range(1, _MAX_TRAILING + 1):
        if _is_checked(data, len(data) - more):
            behind = data[-more:].hex(" ")
            return f"bytes behind the aggregate's checksum, which fits without them (in hex): {behind}"
    return "the aggregate's checksum is wrong: its message is damaged, or is none"


def _is_checked(data: bytes, end: int) -> bool:
    """Whether the bytes before `end` are the checksum of those between them and the mark."""
    start, stop = len(KPL_MAGIC), end - _MD5_BYTES
    if stop < start:
        return False
    return md5(memoryview(data)[start:stop], usedforsecurity=False).digest() == data[stop:end]


def _unknown(tag: int) -> str:
    return f"field {tag >> 3} of wire type {tag & 7}, which the format does not have"
