"""Shards with limits: what AWS's would refuse is refused, entry by entry, and everything else is taken."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.emulator import process
from local.emulator.patches import kinesis_resharding, kinesis_shard_limits
from producer.entry import Entry
from producer.putter import Putter
from tests.support.shards import made, read


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an endpoint whose shards have limits."""
    running = process.start(log_path=tmp_path_factory.mktemp("limited") / "log", shard_limits=True)
    yield running.url
    running.stop()


@pytest.fixture
def kinesis(limited: str) -> Iterator[Any]:
    """A client of it that never tries again by itself."""
    client = boto3.client(
        "kinesis", endpoint_url=limited, config=Config(retries={"total_max_attempts": 1}, read_timeout=30)
    )
    yield client
    client.close()


@pytest.fixture
def stream(kinesis: Any) -> Iterator[str]:
    """A stream with four shards."""
    with made(kinesis, 4) as name:
        yield name


def entries(count: int, hash_key: int = 0, data: bytes = b"x") -> list[dict[str, Any]]:
    return [
        {"Data": data, "PartitionKey": str(number), "ExplicitHashKey": str(hash_key)}
        for number in range(count)
    ]


def test_entries_over_the_limit_fail_one_by_one_and_the_others_are_on_the_stream(
    kinesis: Any, stream: str
) -> None:
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
    assert refused[0]["ErrorMessage"] == (
        f"Rate exceeded for shard shardId-000000000000 in stream {stream} under account 000000000000."
    )
    there = read(kinesis, stream, "shardId-000000000000").records
    assert [each["SequenceNumber"] for each in there] == [each["SequenceNumber"] for each in accepted]


def test_each_entry_is_answered_in_its_own_place(kinesis: Any, stream: str) -> None:
    other = 2**127  # a hash key of another shard
    for _ in range(3):
        kinesis.put_records(StreamName=stream, Records=entries(500))

    mixed = [entry for pair in zip(entries(200), entries(200, other), strict=True) for entry in pair]
    answer = kinesis.put_records(StreamName=stream, Records=mixed)["Records"]

    assert all("SequenceNumber" in each for each in answer[1::2])
    assert {each["ShardId"] for each in answer[1::2]} == {"shardId-000000000002"}
    assert any("ErrorCode" in each for each in answer[0::2])


def test_entries_without_a_hash_key_count_where_their_partition_key_puts_them(
    kinesis: Any, stream: str
) -> None:
    records = [{"Data": bytes(2000), "PartitionKey": f"key {number}"} for number in range(500)]
    answers = [kinesis.put_records(StreamName=stream, Records=records) for _ in range(12)]

    taken = [each["ShardId"] for answer in answers for each in answer["Records"] if "ShardId" in each]
    assert sum(answer["FailedRecordCount"] for answer in answers) > 0
    assert all(taken.count(shard_id) >= 500 for shard_id in set(taken))  # a megabyte
    assert len(set(taken)) == 4


def test_a_single_put_is_refused_with_an_error(kinesis: Any, stream: str) -> None:
    def put_until_refused() -> None:
        for _ in range(50):
            kinesis.put_record(StreamName=stream, Data=b"x" * 200_000, PartitionKey="k", ExplicitHashKey="0")

    with pytest.raises(ClientError) as refused:
        put_until_refused()

    assert refused.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"


def test_what_is_refused_for_another_reason_is_refused_for_that(kinesis: Any, stream: str) -> None:
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.put_records(StreamName="no-such-stream", Records=entries(1))
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.put_record(StreamName="no-such-stream", Data=b"x", PartitionKey="k")
    too_many = entries(501, data=bytes(9000))  # of which a shard takes 116
    with pytest.raises(ClientError, match="less than or equal to 500"):
        kinesis.put_records(StreamName=stream, Records=too_many)


def test_the_producer_gets_a_burst_through_by_coming_again(kinesis: Any, stream: str) -> None:
    putter = Putter(kinesis, stream, ordered=False)

    report = putter.send(Entry(b"x", f"key {number}") for number in range(8000))

    assert report.sent == 8000
    assert report.rejected == []
    assert report.retried > 0
    assert report.seconds > 0.5  # four shards hold 4,000 in store and take 4,000 a second


def test_shards_have_no_limits_unless_they_are_asked_for(aws: str) -> None:
    unlimited = boto3.client("kinesis")
    with made(unlimited, 1) as name:
        failed = [
            unlimited.put_records(StreamName=name, Records=entries(500))["FailedRecordCount"]
            for _ in range(4)
        ]
    unlimited.close()

    assert failed == [0, 0, 0, 0]


def test_a_stream_that_is_resharded_has_the_limits_of_its_open_shards(ministack: SimpleNamespace) -> None:
    now = 0.0
    kinesis = ministack.kinesis
    kinesis_resharding.apply(kinesis, ministack.provisioners, ministack.lambda_svc)
    kinesis_shard_limits.apply(kinesis, clock=lambda: now)
    kinesis._create_stream({"StreamName": "s", "ShardCount": 1})

    def taken(*hash_keys: int) -> int:
        """Of 500 records for each hash key."""
        count = 0
        for hash_key in hash_keys:
            records = [{**each, "Data": "eA=="} for each in entries(500, hash_key)]
            status, _, answered = kinesis._put_records({"StreamName": "s", "Records": records})
            assert status == 200
            count += 500 - json.loads(answered)["FailedRecordCount"]
        return count

    def scale(count: int) -> None:
        kinesis._update_shard_count({"StreamName": "s", "TargetShardCount": count})

    low, high = 0, 2**127
    assert taken(low, low, high, high) == 1000
    scale(2)
    assert taken(low, low, low, high, high, high) == 2000
    scale(1)
    assert taken(low, low, high, high) == 1000
    now = 0.1
    assert taken(low, high) == 100
