"""Seeded lifecycle events, and Lambda events that carry them.

The events are the producer's: about 300 bytes, with its mix of types, the same bytes on every machine.
"""

import base64
import itertools
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from chalicelib.domain import events
from producer.lives import lives

SEED = 20261120
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)

#: The deployed mapping's batch size.
RECORDS_PER_LAMBDA_EVENT = 500

#: The stub knows every token.
_TOKEN = "lch_" + "0" * 43

_STREAM_ARN = "arn:aws:kinesis:eu-west-1:000000000000:stream/lifecycle-bench-events"
_SHARD = "shardId-000000000000"
_FIRST_SEQUENCE_NUMBER = 49590338271490256608559692538361571095921575989136588898
_ARRIVED_AT = 1795176000.123


def wire_events(count: int, products: int) -> list[bytes]:
    """Return `count` events of `products` products as a producer sends them, each product's in order."""
    return list(lives(count, products, SEED, NOW))


def without_voids(count: int, seed: int = SEED) -> list[bytes]:
    """So many events of one product, none of them a void, which is stored with a marker of its own."""
    plain = (data for data in lives(2 * count, 1, seed, NOW) if b'"type":"void"' not in data)
    return list(itertools.islice(plain, count))


def voids_of(named: Sequence[bytes]) -> list[bytes]:
    """A void of each of these events, at its own instant."""
    decoded = [events.decode(data) for data in named]
    return [
        json.dumps(
            {
                "serial": event.serial,
                "type": "void",
                "occurred_at": event.occurred_at,
                "metadata": {"position": event.position, "why": "entered twice"},
            }
        ).encode()
        for event in decoded
    ]


def lambda_events(data: Sequence[bytes], size: int = RECORDS_PER_LAMBDA_EVENT) -> Iterator[dict[str, Any]]:
    """Lambda events of up to `size` records each (Lambda developer guide, with-kinesis)."""
    numbers = itertools.count(_FIRST_SEQUENCE_NUMBER)
    for start in range(0, len(data), size):
        yield {"Records": [_record(each, str(next(numbers))) for each in data[start : start + size]]}


def _record(data: bytes, sequence_number: str) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "SN-1",
            "sequenceNumber": sequence_number,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": _ARRIVED_AT,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{_SHARD}:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/bench",
        "awsRegion": "eu-west-1",
        "eventSourceARN": _STREAM_ARN,
    }


def serial_of(data: bytes) -> str:
    """The product that an event happened to."""
    serial: str = json.loads(data)["serial"]
    return serial


def http_event(resource: str, serial: str, **query: str) -> dict[str, Any]:
    """A request as API Gateway's REST API hands it to Lambda (its proxy integration)."""
    path = resource.replace("{serial}", serial)
    headers = {"accept": "application/json", "host": "bench", "authorization": f"Bearer {_TOKEN}"}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "pathParameters": {"serial": serial},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "path": path,
            "httpMethod": "GET",
            "requestId": "00000000-0000-4000-8000-000000000000",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": None,
        "isBase64Encoded": False,
    }
