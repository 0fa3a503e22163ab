"""What tail, replay and triage read of a stream that was resharded: closed shards and their children."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import boto3
import pytest
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.stream import replay_reader
from ops import clients
from ops.records import tail
from tests.support.dead_letters import Stream, sqs_event
from tests.support.lambda_events import wire
from tests.support.operators import Operator
from tests.support.shards import open_shards, scale, shards

SERIALS = [f"SN-{number}" for number in range(24)]


@pytest.fixture
def kinesis(stage: str) -> Iterator[Any]:
    client = boto3.client("kinesis")
    yield client
    client.close()


@pytest.fixture
def ops(stage: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    yield Operator(capsys)
    clients.reset()


def put(kinesis: Any, serials: list[str]) -> None:
    entries = [{"Data": wire(serial), "PartitionKey": serial} for serial in serials]
    kinesis.put_records(StreamName=settings.stream_name(), Records=entries)


def test_tail_goes_on_to_the_children(kinesis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_reader, "PAUSE_S", 0.01)
    following = tail.follow(kinesis, settings.stream_name(), 1)
    found: list[str] = []

    for start, count in ((0, 8), (8, 5), (16, 3)):
        put(kinesis, SERIALS[start : start + 4])
        scale(kinesis, settings.stream_name(), count)
        put(kinesis, SERIALS[start + 4 : start + 8])
        found += [record.partition_key for record in islice(following, 8)]
        assert sorted(found) == sorted(SERIALS[: start + 8])


def test_replay_reads_the_closed_shards_as_well(kinesis: Any, ops: Operator) -> None:
    put(kinesis, SERIALS[:8])
    scale(kinesis, settings.stream_name(), 7)
    put(kinesis, SERIALS[8:16])
    scale(kinesis, settings.stream_name(), 4)
    put(kinesis, SERIALS[16:])

    ran = ops("replay", "--since", "1h", "--json")

    [figures] = ran.json
    assert figures["shards"] == len(shards(kinesis, settings.stream_name())) > 4
    assert (figures["records"], figures["stored"]) == (24, 24)
    assert all(ops("history", serial).code == 0 for serial in SERIALS)


@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "past its end"])
def test_a_dead_letter_finds_its_records_on_a_shard_that_was_closed_since(
    client: Client, kinesis: Any, is_whole: bool
) -> None:
    stream = Stream()
    numbers = stream.put([wire(serial) for serial in SERIALS])
    letter = stream.dead_letter(numbers)
    if not is_whole:  # as if retention had taken the last of them
        last = letter["KinesisBatchInfo"]["endSequenceNumber"]
        letter["KinesisBatchInfo"]["endSequenceNumber"] = f"{int(last) + 1:0{len(last)}d}"
    scale(kinesis, settings.stream_name(), 8)
    stream.kinesis.put_record(
        StreamName=stream.name, Data=wire("SN-LATER"), PartitionKey="k", ExplicitHashKey="0"
    )
    assert stream.shard_id not in [each["ShardId"] for each in open_shards(kinesis, stream.name)]

    client.lambda_.invoke("triage_dead_letters", sqs_event(letter))

    found = boto3.client("dynamodb").scan(TableName=settings.history_table())["Items"]
    assert sorted(item["serial"]["S"] for item in found) == sorted(SERIALS)
    assert [case.reason for case in wiring.quarantine().list()] == ([] if is_whole else ["expired"])
