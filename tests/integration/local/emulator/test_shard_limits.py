"""The door in front of the endpoint: what a shard would refuse is refused, and everything else passes."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib import settings
from cli.paths import ROOT
from local.emulator import front
from producer.entry import Entry
from producer.putter import Putter
from tests.support.shards import scale


@pytest.fixture
def door(aws: str) -> Iterator[str]:
    """The URL of a door in front of the endpoint."""
    with subprocess.Popen(
        [sys.executable, "-m", "local.emulator.front", "--upstream", aws],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        yield url
        child.stdin.close()  # it ends with its parent
        assert child.wait(timeout=30) == 0


@pytest.fixture
def kinesis(door: str) -> Iterator[Any]:
    """A client that comes through the door and never tries again by itself."""
    client = boto3.client(
        "kinesis", endpoint_url=door, config=Config(retries={"total_max_attempts": 1}, read_timeout=30)
    )
    yield client
    client.close()


def entries(count: int, hash_key: int = 0, data: bytes = b"x") -> list[dict[str, Any]]:
    return [
        {"Data": data, "PartitionKey": str(number), "ExplicitHashKey": str(hash_key)}
        for number in range(count)
    ]


def test_entries_over_the_limit_fail_one_by_one_and_the_others_are_on_the_stream(
    stage: str, kinesis: Any
) -> None:
    stream = settings.stream_name()

    accepted, refused = [], []
    for start in range(0, 2000, 500):
        records = entries(500, data=f"from {start}".encode())
        answer = kinesis.put_records(StreamName=stream, Records=records)
        refused += [each for each in answer["Records"] if "ErrorCode" in each]
        accepted += [each for each in answer["Records"] if "SequenceNumber" in each]
        assert len(answer["Records"]) == 500
        assert answer["FailedRecordCount"] == sum("ErrorCode" in each for each in answer["Records"])

    # A thousand at once, and what grew back while the requests went out.
    assert 1000 <= len(accepted) < 2000
    assert {each["ErrorCode"] for each in refused} == {"ProvisionedThroughputExceededException"}
    assert refused[0]["ErrorMessage"].startswith(
        f"Rate exceeded for shard shardId-000000000000 in stream {stream}"
    )
    assert on_stream(kinesis, stream, "shardId-000000000000") == [each["SequenceNumber"] for each in accepted]


def test_each_entry_is_answered_in_its_own_place(stage: str, kinesis: Any) -> None:
    stream = settings.stream_name()
    other = 2**127  # a hash key of another shard
    for _ in range(3):
        kinesis.put_records(StreamName=stream, Records=entries(500))

    mixed = [entry for pair in zip(entries(200), entries(200, other), strict=True) for entry in pair]
    answer = kinesis.put_records(StreamName=stream, Records=mixed)["Records"]

    assert all("SequenceNumber" in each for each in answer[1::2])
    assert {each["ShardId"] for each in answer[1::2]} == {"shardId-000000000002"}
    assert any("ErrorCode" in each for each in answer[0::2])


def test_a_stream_that_is_resharded_behind_the_door_has_the_limits_of_its_open_shards(aws: str) -> None:
    kinesis = boto3.client("kinesis")
    stream = f"resharded-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    now = 0.0
    behind = front.Door(aws, clock=lambda: now)
    headers = {
        "X-Amz-Target": "Kinesis_20131202.PutRecords",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/kinesis/aws4_request",
    }

    def taken(*hash_keys: int) -> int:
        """Of so many times 500 records."""
        count = 0
        for hash_key in hash_keys:
            records = [{**each, "Data": "eA=="} for each in entries(500, hash_key)]
            body = json.dumps({"StreamName": stream, "Records": records}).encode()
            status, _, answered = behind.answer("POST", "/", headers, body)
            assert status == 200
            count += 500 - json.loads(answered)["FailedRecordCount"]
        return count

    low, high = 0, 2**127
    assert taken(low, low, high, high) == 1000
    scale(kinesis, stream, 2)
    now += front.SHARDS_FOR_S + 1
    assert taken(low, low, low, high, high, high) == 2000
    scale(kinesis, stream, 1)
    now += front.SHARDS_FOR_S + 1
    assert taken(low, low, high, high) == 1000
    behind.hang_up()
    kinesis.delete_stream(StreamName=stream)


def test_a_single_put_is_refused_with_an_error(stage: str, kinesis: Any) -> None:
    stream = settings.stream_name()

    def put_until_refused() -> None:
        for _ in range(50):
            kinesis.put_record(StreamName=stream, Data=b"x" * 200_000, PartitionKey="k", ExplicitHashKey="0")

    with pytest.raises(ClientError) as refused:
        put_until_refused()

    assert refused.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"


def test_everything_else_passes_as_it_is(stage: str, door: str, kinesis: Any) -> None:
    dynamodb = boto3.client("dynamodb", endpoint_url=door)
    try:
        dynamodb.put_item(
            TableName=settings.history_table(), Item={"serial": {"S": "s"}, "position": {"S": "p"}}
        )
        found = dynamodb.scan(TableName=settings.history_table())["Items"]
    finally:
        dynamodb.close()
    assert found == [{"serial": {"S": "s"}, "position": {"S": "p"}}]
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.put_records(StreamName="no-such-stream", Records=entries(1))


def test_the_producer_gets_a_burst_through_by_coming_again(stage: str, kinesis: Any) -> None:
    putter = Putter(kinesis, settings.stream_name(), ordered=False)

    report = putter.send(Entry(b"x", f"key {number}") for number in range(8000))

    assert report.sent == 8000
    assert report.rejected == []
    assert report.retried > 0
    assert report.seconds > 0.5  # four shards hold 4,000 in store and take 4,000 a second


def test_a_port_that_is_taken_is_one_sentence(door: str) -> None:
    port = door.rpartition(":")[2]

    ran = subprocess.run(
        [sys.executable, "-m", "local.emulator.front", "--upstream", door, "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 3
    assert ran.stderr == f"error: port {port}: Address already in use; choose another with --port\n"


def on_stream(kinesis: Any, stream: str, shard_id: str) -> list[str]:
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    numbers: list[str] = []
    while True:
        answer = kinesis.get_records(ShardIterator=iterator)
        numbers += [record["SequenceNumber"] for record in answer["Records"]]
        if not answer["Records"]:
            return numbers
        iterator = answer["NextShardIterator"]
