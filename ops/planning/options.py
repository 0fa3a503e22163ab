"""What the options of `ops plan` and `ops simulate` share."""

import argparse

from cli.arguments import positive
from ops.planning import capacity


def event_bytes(text: str) -> int:
    """Parse the size of an event in bytes, at most what the table can hold."""
    size = positive(text)
    if size > capacity.MAX_EVENT_BYTES:
        raise argparse.ArgumentTypeError(
            f"expected at most {capacity.MAX_EVENT_BYTES:,}, got {text}: a DynamoDB item holds "
            f"{capacity.MAX_ITEM_BYTES:,} bytes, {capacity.ITEM_OVERHEAD_BYTES} of which are not the "
            "event's; larger ones end in quarantine"
        )
    return size
