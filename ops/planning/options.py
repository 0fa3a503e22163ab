"""What `ops plan` and `ops simulate` share: an event's size, and the settings of the deployed function."""

import argparse

import msgspec

from cli.arguments import positive
from infra import functions
from ops.planning import capacity


class IngestFunction(msgspec.Struct, frozen=True, kw_only=True):
    """What `infra/functions.json` says of the function that ingests, and of its mapping."""

    memory_mb: int
    timeout_s: int
    parallelization: int
    retry_attempts: int
    is_traced: bool


def deployed() -> IngestFunction:
    """Return the settings that every stage's function is deployed with."""
    properties = functions.properties("any")["ProcessLifecycle"]
    mapping = properties["Events"]["ProcessLifecycleKinesisEventSource"]["Properties"]
    return IngestFunction(
        memory_mb=properties["MemorySize"],
        timeout_s=properties["Timeout"],
        parallelization=mapping["ParallelizationFactor"],
        retry_attempts=mapping["MaximumRetryAttempts"],
        is_traced=properties.get("Tracing") == "Active",
    )


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
