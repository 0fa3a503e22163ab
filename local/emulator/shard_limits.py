"""What a shard takes: 1,000 records and 1 MB a second, partition keys included.

Kinesis developer guide, "Quotas and limits"; API reference, PutRecords.  How AWS measures a second is not
documented; here a shard has one second's worth at most, which grows back evenly.  No I/O; the clock is given.
"""

from collections.abc import Callable

RECORDS_PER_SECOND = 1_000
BYTES_PER_SECOND = 1024 * 1024


class ShardLimits:
    """What shards take at the moment, for one thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float, float]] = {}  # records, bytes, and when that was

    def takes(self, shard: str, size: int) -> bool:
        """Return whether the shard takes a record of `size` bytes now, and deduct one that it takes.

        A shard that was never asked about has a second's worth.  A record larger than that is taken by a
        shard that has all of it left, which then takes nothing until the debt has grown back.
        """
        now = self._clock()
        records, size_left, at = self._left.get(shard, (RECORDS_PER_SECOND, BYTES_PER_SECOND, now))
        records = min(RECORDS_PER_SECOND, records + (now - at) * RECORDS_PER_SECOND)
        size_left = min(BYTES_PER_SECOND, size_left + (now - at) * BYTES_PER_SECOND)
        is_taken = records >= 1 and size_left >= min(size, BYTES_PER_SECOND)
        if is_taken:
            records, size_left = records - 1, size_left - size
        self._left[shard] = (records, size_left, now)
        return is_taken
