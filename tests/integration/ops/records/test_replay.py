"""`ops replay`: the table rebuilt from what the stream still holds."""

import os
import shlex
import time

import boto3
import pytest

from chalicelib import settings, wiring
from chalicelib.domain import instants
from ops.records import replay
from tests.support import failing_code
from tests.support.aggregates import aggregated, dense
from tests.support.dead_letters import Stream
from tests.support.headings import says
from tests.support.lambda_events import wire
from tests.support.operators import Operator


@pytest.fixture
def streams(stage: str) -> list[Stream]:
    """The stream, once by each of its shards."""
    return [Stream(shard) for shard in range(4)]


def fill(streams: list[Stream], each: int) -> set[str]:
    """Put events on every shard; the products they are about."""
    serials = set()
    for shard, stream in enumerate(streams):
        names = [f"SN-{shard}-{n}" for n in range(each)]
        stream.put([wire(name) for name in names])
        serials.update(names)
    return serials


def stored() -> set[str]:
    answer = boto3.client("dynamodb").scan(TableName=settings.history_table())
    return {item["serial"]["S"] for item in answer["Items"]}


def test_the_table_is_rebuilt_from_every_shard(ops: Operator, streams: list[Stream]) -> None:
    serials = fill(streams, 30)
    streams[2].put([b"not json"])

    ran = ops("replay", "--since", "1h", "--json")

    assert ran.code == 0
    (figures,) = ran.json
    assert (figures["shards"], figures["records"], figures["stored"]) == (4, 121, 120)
    assert figures["quarantined"] == {"not_json": 1}
    assert stored() == serials
    assert [case.payload for case in wiring.quarantine().list()] == [b"not json"]


def test_an_aggregate_of_very_many_records_is_one_case_and_its_events_are_stored(
    ops: Operator, streams: list[Stream]
) -> None:
    dense_ = dense(b"", 20_000)
    of_events = aggregated(*[wire(f"SN-{n}") for n in range(5_000)])
    streams[1].put([dense_, of_events, aggregated()])

    ran = ops("replay", "--since", "1h", "--json")

    (figures,) = ran.json
    assert (figures["records"], figures["stored"]) == (dense_.count(b"\x1a\x00") + 5_000, 5_000)
    assert figures["quarantined"] == {"invalid_aggregate": 1}
    assert [case.payload for case in wiring.quarantine().list()] == [dense_]


def test_replaying_twice_changes_nothing(ops: Operator, streams: list[Stream]) -> None:
    fill(streams, 5)
    streams[0].put([b"not json"])

    ops("replay", "--since", "1h")
    dynamodb = boto3.client("dynamodb")
    tables = settings.history_table(), settings.quarantine_table()
    once = [sorted(map(str, dynamodb.scan(TableName=table)["Items"])) for table in tables]
    ops("replay", "--since", "1h")

    assert [sorted(map(str, dynamodb.scan(TableName=table)["Items"])) for table in tables] == once


def test_only_what_arrived_since_the_moment_is_replayed(ops: Operator, streams: list[Stream]) -> None:
    fill(streams[:1], 3)
    iterator = streams[0].kinesis.get_shard_iterator(
        StreamName=streams[0].name, ShardId=streams[0].shard_id, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    last = streams[0].kinesis.get_records(ShardIterator=iterator)["Records"][-1][
        "ApproximateArrivalTimestamp"
    ]
    while time.time() <= last.timestamp() + 0.002:
        pass  # the stream's times have milliseconds; this takes two of them
    moment = time.time()
    streams[1].put([wire("SN-LATE")])

    ran = ops("replay", "--since", instants.parse(_rfc3339(moment)).local, "--json")

    assert ran.json[0]["records"] == 1
    assert stored() == {"SN-LATE"}


def test_a_dry_run_counts_and_writes_nothing(ops: Operator, streams: list[Stream]) -> None:
    fill(streams, 2)
    streams[3].put([b"not json", wire(colour="red")])

    ran = ops("replay", "--since", "1h", "--dry-run")

    assert ran.code == 0
    assert ran.out.startswith("10 records of 4 shards since ")
    assert ran.out.endswith("8 would be stored, 2 would be quarantined (1 invalid_event, 1 not_json)\n")
    assert stored() == set()
    assert list(wiring.quarantine().ids()) == []


def test_a_dry_run_counts_what_the_replay_then_does(
    ops: Operator, streams: list[Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(streams, 3)
    streams[0].put([wire("SN-TWICE"), wire("SN-TWICE"), b"", b"not json", wire(colour="red")])
    streams[1].put([wire(metadata={"text": "x" * 500_000}), wire("SN-BUG")])
    failing_code.on_product(monkeypatch, "SN-BUG")

    since = _rfc3339(time.time() - 3600)
    dry = ops("replay", "--since", since, "--dry-run", "--json")
    kept = stored(), list(wiring.quarantine().ids())
    real = ops("replay", "--since", since, "--json")

    assert kept == (set(), [])
    assert (dry.code, {**dry.json[0], "dry_run": False}) == (real.code, real.json[0])
    assert dry.json[0]["quarantined"] == {
        "not_json": 2,
        "invalid_event": 1,
        "too_large": 1,
        "handler_error": 1,
    }


def test_a_bug_on_one_record_does_not_end_the_replay(
    ops: Operator, streams: list[Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    serials = fill(streams, 10)
    failing_code.on_product(monkeypatch, "SN-2-7")

    ran = ops("replay", "--since", "1h", "--json")

    assert (ran.code, ran.json[0]["quarantined"]) == (0, {"handler_error": 1})
    assert stored() == serials - {"SN-2-7"}


def test_a_table_that_is_missing_ends_the_replay_with_a_sentence(
    ops: Operator, streams: list[Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(streams, 2)
    os.environ["LIFECYCLE_HISTORY_TABLE"] = "no-such-table"
    monkeypatch.setattr(replay, "PATIENCE_S", 0.5)

    ran = ops("replay", "--since", "1h")

    assert ran.code == 1
    assert ran.out.startswith("0 records")
    assert "error: shardId-" in ran.err
    assert "ResourceNotFoundException" in ran.err
    assert "Traceback" not in ran.err


def test_a_stream_that_is_gone_is_one_sentence(ops: Operator, streams: list[Stream]) -> None:
    streams[0].kinesis.delete_stream(StreamName=streams[0].name)

    ran = ops("replay", "--since", "1h")

    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"error: there is no stream {streams[0].name}; start the local pipeline")
    assert says("there is no stream …", ran.err)
    assert ran.err.count("\n") == 1


def test_asking_for_more_than_the_stream_holds_is_told(ops: Operator, streams: list[Stream]) -> None:
    ran = ops("replay", "--since", "365d", "--dry-run")

    assert ran.code == 0
    assert "the stream holds 168 hours" in ran.err
    assert says("the stream holds …", ran.err)


def test_every_example_of_the_help_runs(ops: Operator, streams: list[Stream]) -> None:
    commands = [
        shlex.split(line)[3:] for line in replay.EXAMPLES.splitlines() if line.startswith("  python -m ops ")
    ]

    assert len(commands) == 3
    for command in commands:
        assert ops(*command).code == 0, command


def _rfc3339(epoch_s: float) -> str:
    from ops.output import when

    return when(epoch_s * 1000)
