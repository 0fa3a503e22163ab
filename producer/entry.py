"""What is put on the stream: one record to be, and what it is for."""

from typing import Literal, NamedTuple

import msgspec

Kind = Literal["event", "duplicate", "poison"]


class Entry(NamedTuple):
    """A record before it is put: its data, the key that decides its shard, and why it is sent."""

    data: bytes
    partition_key: str
    kind: Kind = "event"


class _Keyed(msgspec.Struct, gc=False):
    serial: str


_serial_of = msgspec.json.Decoder(_Keyed).decode


def event_entry(data: bytes) -> Entry:
    """The entry of a wire event: a product's events share a shard, so the partition key is the serial."""
    return Entry(data, _serial_of(data).serial)
