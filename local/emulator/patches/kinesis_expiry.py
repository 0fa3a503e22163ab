"""MiniStack's Kinesis looking for what has expired only where and when there is some.

At each GetRecords and PutRecords it copies every record of the stream: 30 ms a call with 100,000 records.  At
every request it walks through all shard iterators of the last five minutes, and each read makes one: four
idle shards that are read ten times a second come to 12,000, and keep a core busy.  Records lie in order of
arrival, so a shard's first one tells; and an expired iterator is refused when it is used, cleared away or
not.
"""

import time
from collections.abc import Callable
from typing import Any

from local.emulator.patches.parts import replace

#: How often expired shard iterators are cleared away.  They are valid for five minutes.
ITERATORS_CLEARED_EVERY_S = 10.0


def apply(kinesis: Any, clock: Callable[[], float] = time.time) -> None:
    """Patch MiniStack's Kinesis.  Raises PatchError."""
    cleared_at = float("-inf")

    @replace(kinesis, "_expire_records")
    def expire_records(expire: Callable[[Any], None], stream: dict[str, Any]) -> None:
        kept_from = clock() - stream["RetentionPeriodHours"] * 3600
        firsts = (shard["records"][0] for shard in stream["shards"].values() if shard["records"])
        if any(first["ApproximateArrivalTimestamp"] < kept_from for first in firsts):
            expire(stream)

    @replace(kinesis, "_expire_iterators")
    def expire_iterators(expire: Callable[[], None]) -> None:
        nonlocal cleared_at
        if clock() - cleared_at >= ITERATORS_CLEARED_EVERY_S:
            cleared_at = clock()
            expire()
