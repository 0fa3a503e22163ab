"""The message that an on-failure destination receives about a discarded batch.

Its shape is the one recorded from AWS (key order too): pointers to the records, never the records.
"""

import uuid
from datetime import datetime, timezone
from typing import NamedTuple

import msgspec

from local.event_sources.shard_state_machine import Discard

_encode = msgspec.json.Encoder().encode


class MappedShard(NamedTuple):
    """A shard, and the function that its records are mapped to."""

    shard_id: str
    stream_arn: str
    function: str
    function_arn: str


def body(discard: Discard, shard: MappedShard, now: float) -> str:
    """Return the message body, compact JSON.  `now` is epoch seconds.

    A batch that was discarded for its age has no `responseContext`, whatever its invocations answered;
    `functionError` is null when the function answered and reported failures.
    """
    first, last = discard.records[0], discard.records[-1]
    record: dict[str, object] = {
        "requestContext": {
            "requestId": discard.request_id or str(uuid.uuid4()),
            "functionArn": shard.function_arn,
            "condition": discard.condition,
            "approximateInvokeCount": discard.invoke_count,
        }
    }
    if discard.outcome is not None:
        record["responseContext"] = {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": discard.outcome.function_error,
        }
    record["version"] = "1.0"
    record["timestamp"] = _timestamp(now)
    record["KinesisBatchInfo"] = {
        "shardId": shard.shard_id,
        "startSequenceNumber": first.sequence_number,
        "endSequenceNumber": last.sequence_number,
        "approximateArrivalOfFirstRecord": _timestamp(first.arrived_at),
        "approximateArrivalOfLastRecord": _timestamp(last.arrived_at),
        "batchSize": len(discard.records),
        "streamArn": shard.stream_arn,
    }
    return _encode(record).decode()


def _timestamp(epoch_s: float) -> str:
    moment = datetime.fromtimestamp(epoch_s, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
