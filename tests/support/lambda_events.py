"""Lambda events as Kinesis makes them: distinct, increasing sequence numbers of realistic length.

Chalice's own test client gives every record the sequence number 12345, with which neither a checkpoint
nor a quarantine id can be tested.
"""

import base64
import itertools
import json
from collections.abc import Iterable
from typing import Any

STREAM_ARN = "arn:aws:kinesis:eu-west-1:000000000000:stream/lifecycle-test-events"
SHARD = "shardId-000000000000"

_numbers = itertools.count(49590338271490256608559692538361571095921575989136588898)


def wire(
    serial: str = "SN-1", type: str = "production", occurred_at: str = "2026-01-01T00:00:00Z", **more: Any
) -> bytes:
    """One event as a producer would send it."""
    return json.dumps({"serial": serial, "type": type, "occurred_at": occurred_at, **more}).encode()


def record(data: bytes, partition_key: str = "SN-1", arrived_at: float = 1790000000.123) -> dict[str, Any]:
    """One record of a Lambda event (Lambda developer guide, with-kinesis)."""
    number = str(next(_numbers))
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": partition_key,
            "sequenceNumber": number,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": arrived_at,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{SHARD}:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/test",
        "awsRegion": "eu-west-1",
        "eventSourceARN": STREAM_ARN,
    }


def batch(data: Iterable[bytes]) -> dict[str, Any]:
    """A Lambda event with a record for each of these."""
    return {"Records": [record(each) for each in data]}


def sequence_numbers(event: dict[str, Any]) -> list[str]:
    """The sequence numbers of a Lambda event's records."""
    return [each["kinesis"]["sequenceNumber"] for each in event["Records"]]
