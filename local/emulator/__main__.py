"""The process that plays AWS: MiniStack with some costs taken out, and taught what it lacks: reads that wait,
shards that are split and merged as Kinesis does it, deployments that can be imported and made again.

    python -m local.emulator.__main__ [--with-parent]

With `--with-parent` it is terminated when the process that started it ends, on Linux also when that is
killed; elsewhere whoever started it has to stop it.
"""

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from local.emulator.patches import (
    apigateway_import,
    cloudformation_stream_import,
    dynamodb_long_partitions,
    kinesis_long_polls,
    kinesis_resharding,
)

_PR_SET_PDEATHSIG = 1  # prctl(2)

#: The oldest generation is collected a thousand times less often than by default: it holds what is stored,
#: which is no garbage, and looking through it made twice the events take 2.4 times as long.
_GC_THRESHOLDS = (10_000, 20, 1_000)

#: How often used-up shard iterators are cleared away.  They live for five minutes.
ITERATORS_CLEARED_EVERY_S = 10.0


def skip_needless_expiry(kinesis: Any, clock: Callable[[], float] = time.time) -> None:
    """Have MiniStack's Kinesis look for what has expired only where and when there is some.

    At each GetRecords and PutRecords it copies every record of the stream: with 100,000 records that is 30 ms
    a call.  At every request it walks through all shard iterators of the last five minutes, and each read
    makes one: four idle shards that are polled ten times a second come to 12,000, and keep a core busy.
    Records lie in order of arrival, so a shard's first one tells; and an expired iterator is refused when it
    is used, cleared away or not.  Nothing happens where MiniStack has changed.
    """
    expire_records: Callable[[dict[str, Any]], None] | None = getattr(kinesis, "_expire_records", None)
    expire_iterators: Callable[[], None] | None = getattr(kinesis, "_expire_iterators", None)
    cleared_at = float("-inf")

    def expire_records_if_any(stream: dict[str, Any]) -> None:
        kept_from = clock() - stream["RetentionPeriodHours"] * 3600
        firsts = (shard["records"][0] for shard in stream["shards"].values() if shard["records"])
        if expire_records and any(first["ApproximateArrivalTimestamp"] < kept_from for first in firsts):
            expire_records(stream)

    def expire_iterators_now_and_then() -> None:
        nonlocal cleared_at
        if expire_iterators and clock() - cleared_at >= ITERATORS_CLEARED_EVERY_S:
            cleared_at = clock()
            expire_iterators()

    if expire_records:
        kinesis._expire_records = expire_records_if_any
    if expire_iterators:
        kinesis._expire_iterators = expire_iterators_now_and_then


def main() -> None:
    """Become MiniStack."""
    if "--with-parent" in sys.argv[1:]:
        _end_with_parent()
    sys.argv = ["ministack"]  # its own options are not for here
    from ministack.app import main as serve  # type: ignore[import-untyped]  # it ships no types
    from ministack.services import (  # type: ignore[import-untyped]
        apigateway_v1,
        cloudformation,
        dynamodb,
        kinesis,
        lambda_svc,
    )
    from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

    skip_needless_expiry(kinesis)
    kinesis_resharding.grant(kinesis, provisioners, lambda_svc)
    kinesis_long_polls.grant(kinesis)
    dynamodb_long_partitions.go_by_key(dynamodb)
    apigateway_import.take_descriptions(apigateway_v1)
    cloudformation_stream_import.allow(cloudformation, kinesis)
    gc.set_threshold(*_GC_THRESHOLDS)
    serve()


def _end_with_parent() -> None:
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the line above took effect
        sys.exit(1)


if __name__ == "__main__":
    main()
