"""The process that plays AWS: MiniStack as it is, with one of its costs taken out.

    python -m local.ministack [--with-parent]

With `--with-parent` it is terminated when the process that started it ends, on Linux also when that is
killed; elsewhere whoever started it has to stop it.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1  # prctl(2)


def skip_needless_expiry(kinesis: Any) -> None:
    """Have MiniStack's Kinesis look for records past their retention only where there are some.

    It copies every record of the stream at each GetRecords and PutRecords: with 100,000 records that is
    30 ms a call, and idle shards that are polled ten times a second would keep a core busy.  Records lie in
    order of arrival, so a shard's first one tells.  Nothing happens where MiniStack has changed.
    """
    expire: Callable[[dict[str, Any]], None] | None = getattr(kinesis, "_expire_records", None)
    if expire is None:
        return

    def expire_if_any(stream: dict[str, Any]) -> None:
        kept_from = time.time() - stream["RetentionPeriodHours"] * 3600
        firsts = (shard["records"][0] for shard in stream["shards"].values() if shard["records"])
        if any(first["ApproximateArrivalTimestamp"] < kept_from for first in firsts):
            expire(stream)

    kinesis._expire_records = expire_if_any


def main() -> None:
    """Become MiniStack."""
    if "--with-parent" in sys.argv[1:]:
        _end_with_parent()
    sys.argv = ["ministack"]  # its own options are not for here
    from ministack.app import main as serve  # type: ignore[import-untyped]  # it ships no types
    from ministack.services import kinesis  # type: ignore[import-untyped]

    skip_needless_expiry(kinesis)
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
