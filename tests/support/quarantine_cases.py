"""Cases in quarantine as ingest and triage make them, and what redriving leaves on the stream."""

import time

from chalicelib import wiring
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.tables.cases import Case
from tests.support.dead_letters import Stream
from tests.support.lambda_events import wire

GOOD = wire("SN-GOOD", "note", metadata={"n": 1.10})


def set_aside(
    payload: bytes,
    reason: str = "handler_error",
    at_ms: int = 1790000000123,
    sentence: str = "",
    partition_key: str = "key-1",
) -> str:
    """Put a case into quarantine as ingest and triage do; its id."""
    id_ = f"lifecycle-test-events/shardId-000000000000/{time.monotonic_ns()}"
    case = Case(
        id=id_,
        reason=reason,
        sentence=sentence or f"KeyError: {reason}",
        payload=payload,
        partition_key=partition_key,
        arrived_at_ms=at_ms,
    )
    assert wiring.quarantine().put(case)
    return id_


def case(id_: str) -> Case:
    found = wiring.quarantine().get(id_)
    assert found is not None
    return found


def on_the_stream(stream: Stream) -> list[tuple[bytes, str]]:
    """Everything on the stream: data and partition key."""
    found = []
    for shard in stream.kinesis.list_shards(StreamName=stream.name)["Shards"]:
        iterator = stream.kinesis.get_shard_iterator(
            StreamName=stream.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        answer = stream.kinesis.get_records(ShardIterator=iterator)
        found += [(record["Data"], record["PartitionKey"]) for record in answer["Records"]]
    return found


def store(data: bytes) -> None:
    """Have the history hold this event already."""
    from chalicelib.tables.items import to_item

    written = wiring.history().write([to_item(events.decode(data), 1)], Deadline(60))
    assert not written.unfinished
