"""The events that Lambda gives to functions: Kinesis records and SQS messages in their exact shapes.

Sources: developer guide, "Using Lambda with Kinesis" and "with Amazon SQS"; `chalicelib/stream/records.py` is
the receiving side.  A Kinesis record is encoded
once, when it is read: its size is then known to the byte, and a retry costs a join.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from local import arns
from local.event_sources.batching import StreamRecord
from local.event_sources.invocation_record import MappedShard

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import RecordTypeDef
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_PREFIX, _SUFFIX = b'{"Records":[', b"]}"

_encode = msgspec.json.Encoder().encode


class _Kinesis(msgspec.Struct):
    kinesisSchemaVersion: str
    partitionKey: str
    sequenceNumber: str
    data: bytes  # msgspec writes bytes as standard base64 with padding, as Lambda does
    approximateArrivalTimestamp: float


class _KinesisRecord(msgspec.Struct):
    kinesis: _Kinesis
    eventSource: str
    eventVersion: str
    eventID: str
    eventName: str
    invokeIdentityArn: str
    awsRegion: str
    eventSourceARN: str


def kinesis_encoder(shard: MappedShard) -> Callable[["RecordTypeDef"], StreamRecord]:
    """Return a function from one record of a GetRecords answer to what the shard's machine works on."""
    _, _, _, region, account, _ = shard.stream_arn.split(":", 5)
    role_arn = arns.role(shard.function, account)

    def encode(read: "RecordTypeDef") -> StreamRecord:
        sequence_number = read["SequenceNumber"]
        arrived_at = round(read["ApproximateArrivalTimestamp"].timestamp(), 3)
        entry = _encode(
            _KinesisRecord(
                _Kinesis("1.0", read["PartitionKey"], sequence_number, read["Data"], arrived_at),
                "aws:kinesis",
                "1.0",
                f"{shard.shard_id}:{sequence_number}",
                "aws:kinesis:record",
                role_arn,
                region,
                shard.stream_arn,
            )
        )
        return StreamRecord(sequence_number, arrived_at, read["PartitionKey"], entry)

    return encode


def of_entries(entries: Iterable[bytes]) -> bytes:
    """Return the event that carries these encoded records or messages."""
    return b"".join((_PREFIX, b",".join(entries), _SUFFIX))


def sqs_encoder(queue_arn: str, *, window: bool) -> Callable[["MessageTypeDef"], bytes]:
    """Return a function from one received message to its entry in the event.

    `window` says whether the mapping has a batching window: every recording from AWS has
    `md5OfMessageAttributes: null` for a message without attributes if it has, and no such key if not.
    """
    region = queue_arn.split(":")[3]

    def encode(message: "MessageTypeDef") -> bytes:
        entry: dict[str, Any] = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
            },
        }
        if message.get("MD5OfMessageAttributes") or window:
            entry["md5OfMessageAttributes"] = message.get("MD5OfMessageAttributes")
        entry["md5OfBody"] = message["MD5OfBody"]
        entry["eventSource"] = "aws:sqs"
        entry["eventSourceARN"] = queue_arn
        entry["awsRegion"] = region
        return _encode(entry)

    return encode


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if "StringValue" in value:
        shown["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        shown["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return {**shown, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
