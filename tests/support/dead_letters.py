"""Dead letters about records that really lie on the stream, as Lambda's failure destination has them."""

import json
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import boto3

from chalicelib import settings


class Stream:
    """This test's stream: puts records into one shard and remembers where they lie."""

    def __init__(self, shard: int = 0) -> None:
        self.kinesis = boto3.client("kinesis")
        self.name = settings.stream_name()
        described = self.kinesis.list_shards(StreamName=self.name)["Shards"][shard]
        self.shard_id = described["ShardId"]
        self._hash_key = described["HashKeyRange"]["StartingHashKey"]

    def put(self, data: Sequence[bytes], partition_key: str = "SN-1") -> list[str]:
        """Put records into the shard; their sequence numbers."""
        numbers = []
        for start in range(0, len(data), 500):
            answer = self.kinesis.put_records(
                StreamName=self.name,
                Records=[
                    {"Data": each, "PartitionKey": partition_key, "ExplicitHashKey": self._hash_key}
                    for each in data[start : start + 500]
                ],
            )
            assert answer["FailedRecordCount"] == 0
            numbers += [record["SequenceNumber"] for record in answer["Records"]]
        return numbers

    def dead_letter(self, numbers: Sequence[str], **batch: Any) -> dict[str, Any]:
        """The invocation record about a batch of this shard, as AWS writes it."""
        arrived = text(time.time())
        return {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": "arn:aws:lambda:eu-west-1:000000000000:function:lifecycle-process_lifecycle",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 4,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "version": "1.0",
            "timestamp": arrived,
            "KinesisBatchInfo": {
                "shardId": self.shard_id,
                "startSequenceNumber": numbers[0],
                "endSequenceNumber": numbers[-1],
                "approximateArrivalOfFirstRecord": arrived,
                "approximateArrivalOfLastRecord": arrived,
                "batchSize": len(numbers),
                "streamArn": f"arn:aws:kinesis:eu-west-1:000000000000:stream/{self.name}",
                **batch,
            },
        }


def text(moment_s: float) -> str:
    """A time as Lambda writes it into an invocation record."""
    return datetime.fromtimestamp(moment_s, timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def sqs_event(*bodies: object) -> dict[str, Any]:
    """The Lambda event of an SQS mapping with a message for each body; what is no string becomes JSON."""
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "AQEB",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1790000000123",
                    "SenderId": "AIDA",
                    "ApproximateFirstReceiveTimestamp": "1790000000456",
                },
                "messageAttributes": {},
                "md5OfBody": "0" * 32,
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:eu-west-1:000000000000:{settings.dead_letter_queue()}",
                "awsRegion": "eu-west-1",
            }
            for body in bodies
        ]
    }
