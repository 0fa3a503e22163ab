"""Many entries in one Kinesis record, in the Kinesis Producer Library's format.

The only place that writes that format; chalicelib/stream/kpl.py describes and reads it.  A shard takes 1,000
records a second whatever their size, and a PUT payload unit of 25 KB is paid for whatever is in it: eighty
events of 300 bytes fill one.

Entries are gathered by the shard that their partition keys hash to, and go there by an explicit hash key, so
that they lie on the shards on which they would lie one by one.  All records for a shard have one partition
key of their own, which keeps them in order; an entry too large to share a record goes alone on the same key.
A mapping with a ParallelizationFactor divides a shard by these keys, and so has nothing to divide.

When the stream is resharded meanwhile, what was gathered for a shard that is split goes to one of its
children as a whole, until an answer names a shard that is not known here.  Nothing is lost by that, and a
history does not mind the order; but a reader made with the KCL drops entries that lie on another's shard.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from hashlib import md5
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.stream import kpl
from producer.entry import Entry, size_of

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

#: What a PUT payload unit holds (Kinesis Data Streams pricing).
UNIT_BYTES = 25 * 1024

# What an entry adds beside its data and key, at most: four tags, three lengths, the index of the key.
_BYTES_PER_ENTRY = 4 + 3 * 3 + 2
# What the record adds beside its partition key: the format's mark and checksum.
_BYTES_PER_RECORD = 4 + 16


class HashRange(NamedTuple):
    """An open shard, and the first of the hash keys that are its own."""

    start: int
    shard_id: str


class Aggregator:
    """Gathers entries into records for the shards of one stream."""

    def __init__(self, shards: Sequence[HashRange], unit_bytes: int = UNIT_BYTES) -> None:
        """`shards` are all open shards, as `open_shards` returns them."""
        self._unit_bytes = unit_bytes
        self._known: set[str] = set()
        self._next_shards: Sequence[HashRange] | None = None
        self._gather_for(shards)

    def _gather_for(self, shards: Sequence[HashRange]) -> None:
        self._shards = sorted(shards)
        self._known |= {shard.shard_id for shard in shards}
        longest_key = max(len(shard.shard_id) for shard in shards)
        self._room = self._unit_bytes - _BYTES_PER_RECORD - longest_key
        self._starts = [shard.start for shard in self._shards]
        self._gathered: list[list[Entry]] = [[] for _ in self._shards]
        self._bytes = [0 for _ in self._shards]
        self._shard_of = lru_cache(maxsize=65_536)(self._find_shard)

    def records(self, entries: Iterable[Entry | None]) -> Iterator[Entry | None]:
        """The entries as records, each shard's in order.  None lets everything out that was gathered."""
        for entry in entries:
            if self._next_shards is not None:
                yield from self._rest()
                shards, self._next_shards = self._next_shards, None
                self._gather_for(shards)
            if entry is None:
                yield from self._rest()
                yield None
                continue
            shard = self._shard_of(entry.partition_key)
            size = size_of(entry) + _BYTES_PER_ENTRY
            if self._bytes[shard] + size > self._room:
                yield from self._flush(shard)
            self._gathered[shard].append(entry)
            self._bytes[shard] += size
        yield from self._rest()

    def is_outdated(self, shard_ids: AbstractSet[str]) -> bool:
        """Whether one of the shards on which records were put is new: the stream has been resharded."""
        return not shard_ids <= self._known

    def reshard(self, shards: Sequence[HashRange], seen: AbstractSet[str]) -> None:
        """Gather for these from the next entry on.  Those `seen` are no news any more, open or not."""
        self._known |= seen
        self._next_shards = shards

    def gathered(self) -> list[Entry]:
        """The entries that wait for their record to be full; none when `records` has come to its end."""
        return [entry for entries in self._gathered for entry in entries]

    def _rest(self) -> Iterator[Entry]:
        for shard in range(len(self._shards)):
            yield from self._flush(shard)

    def _flush(self, shard: int) -> Iterator[Entry]:
        gathered = tuple(self._gathered[shard])
        if not gathered:
            return
        self._gathered[shard].clear()
        room, self._bytes[shard] = self._room - self._bytes[shard], 0
        data = gathered[0].data if room < 0 else aggregate(gathered)
        start, shard_id = self._shards[shard]
        yield Entry(data, shard_id, gathered[0].kind, hash_key=str(start), holds=gathered)

    def _find_shard(self, partition_key: str) -> int:
        return bisect_right(self._starts, hash_key_of(partition_key)) - 1


def hash_key_of(partition_key: str) -> int:
    """Return the hash key of a partition key: a record goes to the shard whose range holds it."""
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


def aggregate(entries: Iterable[Entry]) -> bytes:
    """One record's data with all these entries in it, in this order."""
    index_of: dict[str, int] = {}
    records: list[bytes] = []
    for entry in entries:
        index = _varint(index_of.setdefault(entry.partition_key, len(index_of)))
        head = b"\x08%b\x1a%b" % (index, _varint(len(entry.data)))
        records += (b"\x1a", _varint(len(head) + len(entry.data)), head, entry.data)
    keys = (key.encode() for key in index_of)
    message = b"".join([*(b"\x0a%b%b" % (_varint(len(key)), key) for key in keys), *records])
    return kpl.KPL_MAGIC + message + md5(message, usedforsecurity=False).digest()


def _varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def open_shards(kinesis: "KinesisClient", stream: str) -> list[HashRange]:
    """The shards that take records now.  Raises botocore's errors."""
    shards: list[HashRange] = []
    for page in kinesis.get_paginator("list_shards").paginate(StreamName=stream):
        for shard in page["Shards"]:
            if "EndingSequenceNumber" not in shard["SequenceNumberRange"]:
                start = int(shard["HashKeyRange"]["StartingHashKey"])
                shards.append(HashRange(start, shard["ShardId"]))
    return shards
