"""`python -m local.emulator`: the process that plays AWS.

It is MiniStack with some costs taken out and what it lacks added: `patches/`, one file a behaviour.
"""

import argparse
import ctypes
import gc
import os
import signal
import sys

from cli.exits import EXIT_OK, EXIT_UNAVAILABLE
from local.emulator.patches import (
    apigateway_import,
    cloudformation_stream_import,
    dynamodb_long_partitions,
    kinesis_cbor,
    kinesis_expiry,
    kinesis_resharding,
    kinesis_shard_limits,
)
from local.emulator.patches.parts import PatchError

_PR_SET_PDEATHSIG = 1  # prctl(2)

#: The oldest generation is collected a thousand times less often than by default: it holds what is stored,
#: which is no garbage, and looking through it made twice the events take 2.4 times as long.
_GC_THRESHOLDS = (10_000, 20, 1_000)


def patch(*, shard_limits: bool) -> None:
    """Apply the patches to the MiniStack of this process.  Raises PatchError."""
    from ministack.services import (  # type: ignore[import-untyped]  # it ships no types
        apigateway_v1,
        dynamodb,
        kinesis,
        lambda_svc,
    )
    from ministack.services.cloudformation import (  # type: ignore[import-untyped]
        changesets,
        provisioners,
    )

    kinesis_cbor.apply(kinesis)
    kinesis_expiry.apply(kinesis)
    kinesis_resharding.apply(kinesis, provisioners, lambda_svc)
    if shard_limits:
        kinesis_shard_limits.apply(kinesis)
    dynamodb_long_partitions.apply(dynamodb)
    apigateway_import.apply(apigateway_v1)
    cloudformation_stream_import.apply(changesets, provisioners, kinesis)


def main() -> int:
    """Become MiniStack."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument(
        "--with-parent",
        action="store_true",
        help="end when the process that started it ends; on Linux also when that is killed",
    )
    parser.add_argument(
        "--shard-limits",
        action="store_true",
        help="have each shard take 1,000 records and 1 MB a second, as on AWS, and refuse the rest",
    )
    args = parser.parse_args()
    if args.with_parent:
        _end_with_parent()
    sys.argv = ["ministack"]  # its own options are not for here
    from ministack.app import main as serve  # type: ignore[import-untyped]

    try:
        patch(shard_limits=args.shard_limits)
    except PatchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    gc.set_threshold(*_GC_THRESHOLDS)
    serve()
    return EXIT_OK


def _end_with_parent() -> None:
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the line above took effect
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
