"""KPL aggregates as a producer makes them, and as none should; read by protobuf's own library to compare."""

import sys
from collections.abc import Iterable, Sequence
from hashlib import md5
from typing import Any

from chalicelib.stream.kpl import KPL_MAGIC


def aggregated_record() -> Any:
    """An empty AggregatedRecord of the KPL's; importing it changes sys.path, which is put back."""
    path = list(sys.path)
    try:
        from aws_kinesis_agg.deaggregator import messages_pb2
    finally:
        sys.path[:] = path
    return messages_pb2.AggregatedRecord()


def message(keys: Iterable[str], inner: Iterable[tuple[int, bytes]]) -> bytes:
    """A message with these partition keys, and records with these key indices and data."""
    aggregate = aggregated_record()
    aggregate.partition_key_table.extend(keys)
    for index, data in inner:
        aggregate.records.add(partition_key_index=index, data=data)
    serialized: bytes = aggregate.SerializeToString()
    return serialized


def packed(message: bytes) -> bytes:
    """A message as the data of a Kinesis record."""
    return KPL_MAGIC + message + md5(message).digest()


def aggregated(*data: bytes, key: str = "SN-1") -> bytes:
    """An aggregate of records with these data, all with one partition key."""
    return packed(message([key], [(0, each) for each in data]))


def field(number: int, value: bytes | int) -> bytes:
    """One field of a message: bytes behind their length, or a varint."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    *rest, last = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(each | 0x80 for each in rest), last])


def dense(inner: bytes, size: int, keys: Sequence[bytes] = (b"k",)) -> bytes:
    """An aggregate of about `size` bytes, full of Record messages that hold this."""
    head = b"".join(field(1, key) for key in keys)
    each = field(3, inner)
    return packed(head + each * ((size - len(head)) // len(each)))
