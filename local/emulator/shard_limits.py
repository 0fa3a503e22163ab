"""What a shard takes: 1,000 records and 1 MB a second, partition keys included.

The only place that knows these limits (Kinesis developer guide, "Quotas and limits"; API reference,
PutRecords) and which shard a partition key belongs to.  Pure: no I/O, the clock is given.  How AWS measures
a second is not documented; here a shard has a second's worth at most, and it grows back evenly.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import md5
from typing import NamedTuple

RECORDS_A_SECOND = 1_000
BYTES_A_SECOND = 1024 * 1024


class Shard(NamedTuple):
    """An open shard and the first hash key of its range."""

    shard_id: str
    first_hash_key: int


class _Left:
    """What a shard takes at the moment."""

    def __init__(self, now: float) -> None:
        self.records: float = RECORDS_A_SECOND
        self.bytes: float = BYTES_A_SECOND
        self.at = now


class ShardLimits:
    """The limits of one stream's shards.  Safe for several threads."""

    def __init__(self, shards: Sequence[Shard], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`shards` are the open ones, at least one; together they cover every hash key."""
        self._clock = clock
        self._lock = threading.Lock()
        self._shards = sorted(shards, key=lambda shard: shard.first_hash_key)
        self._firsts = [shard.first_hash_key for shard in self._shards]
        now = clock()
        self._left = {shard.shard_id: _Left(now) for shard in self._shards}

    def shard_of(self, partition_key: str, explicit_hash_key: str | None = None) -> str:
        """The shard that a record goes to: by the MD5 of its partition key, unless its hash key is given.

        Raises ValueError for a hash key that is no number.
        """
        if explicit_hash_key is None:
            digest = md5(partition_key.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
            hash_key = int.from_bytes(digest, "big")
        else:
            hash_key = int(explicit_hash_key)
        return self._shards[max(0, bisect_right(self._firsts, hash_key) - 1)].shard_id

    def takes(self, shard_id: str, size: int) -> bool:
        """Whether the shard takes a record of so many bytes now; what it takes is deducted.

        A record larger than a second's worth is taken by a shard that has all of it left, which then takes
        nothing until that has grown back.
        """
        with self._lock:
            now = self._clock()
            left = self._left[shard_id]
            passed, left.at = now - left.at, now
            left.records = min(RECORDS_A_SECOND, left.records + passed * RECORDS_A_SECOND)
            left.bytes = min(BYTES_A_SECOND, left.bytes + passed * BYTES_A_SECOND)
            if left.records < 1 or left.bytes < min(size, BYTES_A_SECOND):
                return False
            left.records -= 1
            left.bytes -= size
            return True

    def carried_over(self, before: "ShardLimits") -> "ShardLimits":
        """These limits, with what shards had left that were there before."""
        for shard_id, left in before._left.items():
            if shard_id in self._left:
                self._left[shard_id] = left
        return self
