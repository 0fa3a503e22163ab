"""Requests in CBOR, as AWS's SDKs for Java send them, over real HTTP: with and without shard limits."""

import http.client
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import cbor2
import pytest

from local.emulator import process
from tests.support.shards import made

CBOR = "application/x-amz-cbor-1.1"
SHARD = "shardId-000000000000"
DATA = [b"", b"\xff\x00 no text", b'{"serial": "SN-1"}', bytes(range(256))]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "shard limits"])
def endpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[process.Endpoint]:
    log = tmp_path_factory.mktemp("cbor") / "log"
    running = process.start(log_path=log, shard_limits=request.param)
    yield running
    running.stop()


@pytest.fixture
def url(endpoint: process.Endpoint) -> str:
    return endpoint.url


@pytest.fixture
def kinesis(url: str) -> Iterator[Any]:
    """What boto3 says in JSON of the same endpoint."""
    client = boto3.client("kinesis", endpoint_url=url)
    yield client
    client.close()


@pytest.fixture
def stream(kinesis: Any) -> Iterator[str]:
    with made(kinesis, 1) as name:
        yield name


def ask(url: str, action: str, body: bytes | dict[str, Any]) -> tuple[int, Any]:
    """Status of an answer, and what stands in it when that is CBOR."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {
        "Content-Type": CBOR,
        "X-Amz-Target": f"Kinesis_20131202.{action}",
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/kinesis/aws4_request",
    }
    try:
        connection.request("POST", "/", body if isinstance(body, bytes) else cbor2.dumps(body), headers)
        response = connection.getresponse()
        answered = response.read()
    finally:
        connection.close()
    if response.headers["Content-Type"] != CBOR:
        return response.status, answered
    return response.status, cbor2.loads(answered, semantic_decoders={1: milliseconds})


def milliseconds(value: int, _: bool) -> tuple[str, int]:
    """A timestamp of this protocol: not to be taken for an ordinary number."""
    return "milliseconds", value


def read(url: str, stream: str, **position: Any) -> list[dict[str, Any]]:
    where = {"StreamName": stream, "ShardId": SHARD, **(position or {"ShardIteratorType": "TRIM_HORIZON"})}
    status, answer = ask(url, "GetShardIterator", where)
    assert status == 200, answer
    status, answer = ask(url, "GetRecords", {"ShardIterator": answer["ShardIterator"], "Limit": 1000})
    assert status == 200, answer
    records: list[dict[str, Any]] = answer["Records"]
    return records


def test_what_is_put_in_cbor_is_on_the_stream_byte_for_byte(url: str, kinesis: Any, stream: str) -> None:
    status, one = ask(url, "PutRecord", {"StreamName": stream, "PartitionKey": "k", "Data": DATA[0]})
    assert (status, one["ShardId"]) == (200, SHARD)
    entries = [{"Data": data, "PartitionKey": "k", "ExplicitHashKey": "7"} for data in DATA[1:]]
    status, more = ask(url, "PutRecords", {"StreamName": stream, "Records": entries})
    assert (status, more["FailedRecordCount"]) == (200, 0)

    numbers = [each["SequenceNumber"] for each in (one, *more["Records"])]
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    in_json = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert [(each["SequenceNumber"], each["Data"]) for each in in_json] == list(
        zip(numbers, DATA, strict=True)
    )
    in_cbor = read(url, stream)
    assert [(each["SequenceNumber"], each["Data"]) for each in in_cbor] == list(
        zip(numbers, DATA, strict=True)
    )


def test_timestamps_are_milliseconds_both_ways(url: str, kinesis: Any, stream: str) -> None:
    for data in (b"before", b"after"):
        between = time.time()
        while time.time() < between + 0.01:
            pass
        kinesis.put_record(StreamName=stream, PartitionKey="k", Data=data)
    unit, arrived = read(url, stream)[1]["ApproximateArrivalTimestamp"]
    assert unit == "milliseconds"
    assert isinstance(arrived, int)
    assert abs(arrived / 1000 - time.time()) < 60

    at = cbor2.CBORTag(1, arrived)
    found = read(url, stream, ShardIteratorType="AT_TIMESTAMP", Timestamp=at)
    assert [each["Data"] for each in found] == [b"after"]
    _, described = ask(url, "DescribeStreamSummary", {"StreamName": stream})
    assert described["StreamDescriptionSummary"]["StreamCreationTimestamp"][0] == "milliseconds"


def test_a_refusal_is_in_cbor_too(url: str, stream: str) -> None:
    unknown = {"StreamName": "no-such-stream", "PartitionKey": "k", "Data": b"x"}

    status, answer = ask(url, "PutRecord", unknown)

    assert (status, answer["__type"]) == (400, "ResourceNotFoundException")


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"\x81" * 5000, b"\xa1", cbor2.dumps({"Data": cbor2.CBORTag(4711, 1)})]
)
def test_what_is_no_request_in_cbor_is_refused(url: str, stream: str, body: bytes) -> None:
    assert ask(url, "PutRecord", body)[0] == 400

    assert read(url, stream) == []


def test_entries_in_cbor_are_refused_one_by_one_where_shards_have_limits(
    endpoint: process.Endpoint, stream: str
) -> None:
    request = {
        "StreamName": stream,
        "Records": [{"Data": bytes(2000), "PartitionKey": str(number)} for number in range(500)],
    }
    answers = [ask(endpoint.url, "PutRecords", request)[1] for _ in range(6)]

    refused = [each for answer in answers for each in answer["Records"] if "ErrorCode" in each]
    taken = [each for answer in answers for each in answer["Records"] if "SequenceNumber" in each]
    assert len(refused) + len(taken) == 3000
    codes = {"ProvisionedThroughputExceededException"} if endpoint.has_shard_limits else set()
    assert {each["ErrorCode"] for each in refused} == codes
    assert sum(answer["FailedRecordCount"] for answer in answers) == len(refused)
