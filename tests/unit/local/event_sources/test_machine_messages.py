"""What functions and failure destinations are sent, to the letter."""

import base64
import json
from datetime import datetime, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local.event_sources import invocation_record, lambda_events
from local.event_sources.batching import ENVELOPE_BYTES, StreamRecord
from local.event_sources.invocation_record import MappedShard
from local.event_sources.shard_state_machine import Discard
from local.sandbox.outcome import Ending, Outcome

STREAM_ARN = "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"
SHARD = MappedShard("shardId-000000000006", STREAM_ARN, "lambda-role", "not in an event")
QUEUE_ARN = "arn:aws:sqs:us-east-2:123456789012:my-queue"
NUMBER = "49590338271490256608559692538361571095921575989136588898"


def read_record(data: bytes = b"hello", key: str = "test") -> Any:
    return {
        "SequenceNumber": NUMBER,
        "ApproximateArrivalTimestamp": datetime.fromtimestamp(1545084650.987, timezone.utc),
        "Data": data,
        "PartitionKey": key,
        "EncryptionType": "NONE",
    }


class TestKinesisEvent:
    encode = staticmethod(lambda_events.kinesis_encoder(SHARD))

    def test_the_event_is_the_guides_example(self) -> None:
        """Recorded from AWS too: no encryption type, no explicit hash key, the arrival in seconds."""
        event = lambda_events.of_entries([self.encode(read_record()).entry])

        assert json.loads(event) == {
            "Records": [
                {
                    "kinesis": {
                        "kinesisSchemaVersion": "1.0",
                        "partitionKey": "test",
                        "sequenceNumber": NUMBER,
                        "data": "aGVsbG8=",
                        "approximateArrivalTimestamp": 1545084650.987,
                    },
                    "eventSource": "aws:kinesis",
                    "eventVersion": "1.0",
                    "eventID": f"shardId-000000000006:{NUMBER}",
                    "eventName": "aws:kinesis:record",
                    "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
                    "awsRegion": "us-east-2",
                    "eventSourceARN": STREAM_ARN,
                }
            ]
        }

    @given(st.binary(), st.text(min_size=1))
    def test_any_data_and_any_key_arrive_as_they_are(self, data: bytes, key: str) -> None:
        key = key.encode("utf-8", "replace").decode()
        event = json.loads(lambda_events.of_entries([self.encode(read_record(data, key)).entry]))

        kinesis = event["Records"][0]["kinesis"]
        assert base64.b64decode(kinesis["data"], validate=True) == data
        assert kinesis["partitionKey"] == key

    def test_the_envelope_weighs_what_batching_takes_it_for(self) -> None:
        assert len(lambda_events.of_entries([])) == ENVELOPE_BYTES


class TestSqsEvent:
    message: Any = {  # noqa: RUF012  # read only
        "MessageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "ReceiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "Body": "Test message.",
        "MD5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
    }

    def test_the_event_is_the_guides_example(self) -> None:
        entry = lambda_events.sqs_encoder(QUEUE_ARN, window=False)(self.message)

        assert json.loads(entry) == {
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": "Test message.",
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": QUEUE_ARN,
            "awsRegion": "us-east-2",
        }

    def test_a_mapping_with_a_window_says_null_where_a_message_has_no_attributes(self) -> None:
        """Recorded from AWS: 29 tests with a window have the key, 5 without do not."""
        entry = json.loads(lambda_events.sqs_encoder(QUEUE_ARN, window=True)(self.message))

        assert entry["md5OfMessageAttributes"] is None

    def test_message_attributes_have_the_events_spelling(self) -> None:
        """The hash is one recorded from AWS (test_message_body_and_attributes_passed_correctly)."""
        message = {
            **self.message,
            "MD5OfMessageAttributes": "d25a6aea97eb8f585bfa92d314504a92",
            "MessageAttributes": {
                "Title": {"StringValue": "The Whistler", "DataType": "String"},
                "Cover": {"BinaryValue": b"\x00\xff", "DataType": "Binary"},
            },
        }

        entry = json.loads(lambda_events.sqs_encoder(QUEUE_ARN, window=False)(message))

        assert entry["md5OfMessageAttributes"] == "d25a6aea97eb8f585bfa92d314504a92"
        assert entry["messageAttributes"] == {
            "Title": {
                "stringValue": "The Whistler",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            },
            "Cover": {
                "binaryValue": "AP8=",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "Binary",
            },
        }


class TestInvocationRecord:
    records = (
        StreamRecord("4901", 1764088501.456, "a", b""),
        StreamRecord("4902", 1764088502.0, "b", b""),
    )

    def body(self, condition: str, count: int, request_id: str | None, outcome: Outcome | None) -> str:
        return invocation_record.body(
            Discard(self.records, condition, count, request_id, outcome),
            MappedShard(
                "shardId-000000000000",
                "arn:aws:kinesis:us-east-1:111111111111:stream/s",
                "f",
                "arn:aws:lambda:us-east-1:111111111111:function:f",
            ),
            now=1764088532.1239,
        )

    def test_exhausted_retries_are_told_as_recorded_from_aws(self) -> None:
        """Recorded from AWS (..._with_on_failure_destination_config), key order and spacing included."""
        body = self.body("RetryAttemptsExhausted", 2, "1111-2222", Outcome(Ending.ERROR, b"{}", "1111-2222"))

        assert body == (
            '{"requestContext":{"requestId":"1111-2222",'
            '"functionArn":"arn:aws:lambda:us-east-1:111111111111:function:f",'
            '"condition":"RetryAttemptsExhausted","approximateInvokeCount":2},'
            '"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},'
            '"version":"1.0","timestamp":"2025-11-25T16:35:32.123Z",'
            '"KinesisBatchInfo":{"shardId":"shardId-000000000000","startSequenceNumber":"4901",'
            '"endSequenceNumber":"4902","approximateArrivalOfFirstRecord":"2025-11-25T16:35:01.456Z",'
            '"approximateArrivalOfLastRecord":"2025-11-25T16:35:02.000Z","batchSize":2,'
            '"streamArn":"arn:aws:kinesis:us-east-1:111111111111:stream/s"}}'
        )

    def test_a_reported_failure_has_no_function_error(self) -> None:
        """Recorded from AWS (test_kinesis_report_batch_item_failures): null, not absent."""
        record = json.loads(
            self.body(
                "RetryAttemptsExhausted", 4, "id", Outcome(Ending.OK, b'{"batchItemFailures":[]}', "id")
            )
        )

        assert record["responseContext"] == {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": None,
        }

    def test_age_has_a_request_id_and_no_response(self) -> None:
        """Recorded from AWS (...maximum_record_age_exceeded), whether the function was invoked or not."""
        never, after = (
            json.loads(self.body("RecordAgeExceeded", 1, request_id, None)) for request_id in (None, "id")
        )

        assert "responseContext" not in never
        assert "responseContext" not in after
        assert len(never["requestContext"]["requestId"]) == 36
        assert after["requestContext"]["requestId"] == "id"
