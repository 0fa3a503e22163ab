"""What is put on the stream: one record to be, and what it is for."""

from typing import Literal, NamedTuple

import msgspec

from chalicelib.domain.lifecycle import KINDS

# Limits of a record (Kinesis API reference, PutRecords).  A stream takes records over 1 MiB only where its
# maximum record size was raised.
MAX_RECORD_BYTES = 1024 * 1024
MAX_KEY_CHARACTERS = 256

Kind = Literal["event", "duplicate", "poison"]


class Entry(NamedTuple):
    """A record before it is put: its data, the key that decides its shard, and why it is sent.

    An aggregate also has the hash key that decides instead, and the entries that it holds.
    """

    data: bytes
    partition_key: str
    kind: Kind = "event"
    hash_key: str | None = None
    holds: tuple["Entry", ...] = ()
    unknown_type: str | None = None  # the event's, where it drives no status

    @property
    def singles(self) -> "tuple[Entry, ...]":
        """What was asked to be sent: the entries held, or this one."""
        return self.holds or (self,)


class _Keyed(msgspec.Struct, gc=False):
    serial: str
    type: str


_keyed = msgspec.json.Decoder(_Keyed).decode


def event_entry(data: bytes) -> Entry:
    """The entry of a wire event: a product's events share a shard, so the partition key is the serial."""
    keyed = _keyed(data)
    return Entry(data, keyed.serial, unknown_type=None if keyed.type in KINDS else keyed.type)


def size_of(entry: Entry) -> int:
    """Bytes, as PutRecords counts them: data and partition key."""
    return len(entry.data) + len(entry.partition_key.encode())


def refused_because(entry: Entry, size: int) -> str | None:
    """Why Kinesis would refuse an entry of this size and its whole request; None when it would not."""
    if size > MAX_RECORD_BYTES:
        return f"{size} bytes with its partition key; a record has at most 1 MiB"
    if not 1 <= len(entry.partition_key) <= MAX_KEY_CHARACTERS:
        return f"a partition key has 1 to {MAX_KEY_CHARACTERS} characters"
    return None
