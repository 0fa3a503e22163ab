"""Ways to write a Lambda event of Kinesis records to DynamoDB: ours, and what a user would write instead.

Each is built once, as a sandbox would, and then called with Lambda events.  The others are given what makes
them quick without changing what they are: a low-level client or a resource built once, keep-alive, and no
check of any event.  None of them keeps a poison pill from failing its batch, and `read_modify_write` loses
events when two run at once; here everything is valid and one runs.
"""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

TABLE = "lifecycle-bench-history"
#: Table of `read_modify_write`: one item a product.
PRODUCTS = "lifecycle-bench-products"

LambdaEvent = dict[str, Any]
Handler = Callable[[LambdaEvent], Any]


class Context:
    """As much of Lambda's context as handlers ask for."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "bench"
    memory_limit_in_mb = "1024"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:000000000000:function:bench"

    def get_remaining_time_in_millis(self) -> int:
        """The whole of the deployed function's time."""
        return 60_000


def ours() -> Handler:
    """The deployed handler with everything on: validation, keys, quarantine, deadline, logs."""
    import app

    context = Context()
    return lambda event: app.app.handler_map["process_lifecycle"](event, context)


def conditional_put() -> Handler:
    """One conditional PutItem per record, in sequence: the usual advice for idempotency."""
    dynamodb = _client()

    def handle(event: LambdaEvent) -> None:
        for record in event["Records"]:
            sent = json.loads(base64.b64decode(record["kinesis"]["data"]))
            dynamodb.put_item(
                TableName=TABLE,
                Item=_item(sent, {"S": json.dumps(sent["metadata"])}),
                ConditionExpression="attribute_not_exists(serial)",
            )

    return handle


def read_modify_write() -> Handler:
    """Get the product, append to its list, put it back: how this scenario was first built."""
    dynamodb = _client()

    def handle(event: LambdaEvent) -> None:
        for record in event["Records"]:
            sent = json.loads(base64.b64decode(record["kinesis"]["data"]))
            append(dynamodb, PRODUCTS, sent)

    return handle


def append(dynamodb: "DynamoDBClient", table: str, sent: dict[str, Any], **more: Any) -> Any:
    """One event onto its product's list; the PutItem's answer."""
    key: dict[str, Any] = {"serial": {"S": sent["serial"]}}
    product: Any = dynamodb.get_item(TableName=table, Key=key).get("Item") or {
        **key,
        "history": {"L": []},
    }
    event = {name: value for name, value in sent.items() if name not in ("serial", "metadata")}
    held = {name: {"S": value} for name, value in event.items()}
    product["history"]["L"].append({"M": {**held, "metadata": {"S": json.dumps(sent["metadata"])}}})
    return dynamodb.put_item(TableName=table, Item=product, **more)


def batch_writer() -> Handler:
    """boto3's `batch_writer` on a Table resource."""
    import boto3

    table = boto3.resource("dynamodb").Table(TABLE)

    def handle(event: LambdaEvent) -> None:
        with table.batch_writer() as batch:
            for record in event["Records"]:
                data = base64.b64decode(record["kinesis"]["data"])
                sent = json.loads(data, parse_float=Decimal)  # the resource refuses floats
                batch.put_item(Item={**sent, "position": _position(sent)})

    return handle


def powertools() -> Handler:
    """Powertools' BatchProcessor with a PutItem per record, as its documentation shows it."""
    import boto3
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
    from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord

    table = boto3.resource("dynamodb").Table(TABLE)
    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
    context: Any = Context()

    def record_handler(record: KinesisStreamRecord) -> None:
        sent = json.loads(record.kinesis.data_as_text(), parse_float=Decimal)
        table.put_item(Item={**sent, "position": _position(sent)})

    return lambda event: process_partial_response(event, record_handler, processor, context)


def tuned_batch() -> Handler:
    """A low-level client, map-typed metadata, BatchWriteItem one at a time, no validation of anything."""
    dynamodb = _client(parameter_validation=False)

    def handle(event: LambdaEvent) -> None:
        records = event["Records"]
        for start in range(0, len(records), 25):
            puts: list[Any] = []
            for record in records[start : start + 25]:
                sent = json.loads(base64.b64decode(record["kinesis"]["data"]))
                puts.append({"PutRequest": {"Item": mapped_item(sent)}})
            dynamodb.batch_write_item(RequestItems={TABLE: puts})

    return handle


CONTENDERS: dict[str, Callable[[], Handler]] = {
    "ours": ours,
    "conditional_put": conditional_put,
    "read_modify_write": read_modify_write,
    "batch_writer": batch_writer,
    "powertools": powertools,
    "tuned_batch": tuned_batch,
}


def mapped_item(sent: dict[str, Any]) -> dict[str, Any]:
    """An event as an item whose metadata is a map."""
    return _item(sent, attribute(sent["metadata"]))


def attribute(value: Any) -> dict[str, Any]:
    """A JSON value as a DynamoDB attribute of its own type, as fast as plain Python does it."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": str(value)}
    if isinstance(value, dict):
        return {"M": {name: attribute(each) for name, each in value.items()}}
    if isinstance(value, list):
        return {"L": [attribute(each) for each in value]}
    return {"NULL": True}


def _item(sent: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    item = {name: {"S": value} for name, value in sent.items() if name != "metadata"}
    item["position"] = {"S": _position(sent)}
    item["metadata"] = metadata
    return item


def _position(sent: dict[str, Any]) -> str:
    return f"{sent['occurred_at']}#{sent.get('event_id', '')}"


def _client(**config: Any) -> "DynamoDBClient":
    import boto3
    from botocore.config import Config

    return boto3.client("dynamodb", config=Config(**config))
