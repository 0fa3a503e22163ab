"""A stack's ShardCount on the embedded endpoint: changing it reshards the stream, and nothing else does."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from chalicelib import settings
from infra import template
from local import stack
from tests.support.shards import open_shards, read, scale, shards
from tests.support.waiting import eventually


@pytest.fixture
def kinesis(stage: str) -> Iterator[Any]:
    client = boto3.client("kinesis")
    yield client
    client.close()


def update(stage: str, body: str | None = None, **parameters: str) -> str:
    """Update the stage's stack, its other parameters as they are; the status that it comes to."""
    cloudformation = boto3.client("cloudformation")
    name = stack.name(stage)
    known = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Parameters"]
    cloudformation.update_stack(
        StackName=name,
        TemplateBody=body or template.as_json(stack.TEMPLATE),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": parameters[key]}
            if key in parameters
            else {"ParameterKey": key, "UsePreviousValue": True}
            for key in sorted({each["ParameterKey"] for each in known} | parameters.keys())
        ],
        Capabilities=["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"],
    )

    def status() -> str:
        found: str = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return found

    assert eventually(lambda: not status().endswith("IN_PROGRESS"))
    return status()


def count(kinesis: Any) -> int:
    return len(open_shards(kinesis, settings.stream_name()))


def test_a_changed_count_splits_and_merges_and_keeps_what_is_on_the_stream(stage: str, kinesis: Any) -> None:
    stream = settings.stream_name()
    kinesis.put_record(StreamName=stream, PartitionKey="k", Data=b"unread")

    for shard_count in (8, 6, 3):
        assert update(stage, ShardCount=str(shard_count)) == "UPDATE_COMPLETE"
        assert count(kinesis) == shard_count

    held = [
        record for shard in shards(kinesis, stream) for record in read(kinesis, stream, shard["ShardId"])[0]
    ]
    assert [record["Data"] for record in held] == [b"unread"]


@pytest.mark.parametrize("shard_count", [1, 9])
def test_a_count_too_far_away_is_refused_with_the_reason_and_changes_nothing(
    stage: str, kinesis: Any, shard_count: int
) -> None:
    before = shards(kinesis, settings.stream_name())

    assert update(stage, ShardCount=str(shard_count), RetentionHours="200") == "UPDATE_ROLLBACK_COMPLETE"

    assert shards(kinesis, settings.stream_name()) == before
    summary = kinesis.describe_stream_summary(StreamName=settings.stream_name())["StreamDescriptionSummary"]
    assert summary["RetentionPeriodHours"] == 168
    events = boto3.client("cloudformation").describe_stack_events(StackName=stack.name(stage))["StackEvents"]
    [failed] = [each for each in events if each["ResourceStatus"] == "UPDATE_FAILED"]
    assert failed["LogicalResourceId"] == "Events"
    assert f"Target shard count: {shard_count}" in failed["ResourceStatusReason"]


def test_what_was_resharded_by_hand_stays_when_something_else_is_changed(stage: str, kinesis: Any) -> None:
    scale(kinesis, settings.stream_name(), 7)

    assert update(stage, RetentionHours="200") == "UPDATE_COMPLETE"

    assert count(kinesis) == 7


def test_from_on_demand_to_so_many_shards_and_back(stage: str, kinesis: Any) -> None:
    assert update(stage, StreamMode="ON_DEMAND") == "UPDATE_COMPLETE"
    assert count(kinesis) == 4
    assert update(stage, StreamMode="PROVISIONED", ShardCount="6") == "UPDATE_COMPLETE"
    assert count(kinesis) == 6


def test_a_stream_that_gets_another_name_has_its_shards_from_the_beginning(stage: str, kinesis: Any) -> None:
    body = json.loads(template.as_json(stack.TEMPLATE))
    body["Resources"]["Events"]["Properties"]["Name"] = f"{settings.stream_name()}-2"

    assert update(stage, json.dumps(body), ShardCount="1") == "UPDATE_COMPLETE"

    assert len(shards(kinesis, f"{settings.stream_name()}-2")) == 1


@pytest.mark.parametrize("by", ["hand", "its stack"])
def test_ensuring_the_laptop_s_stack_keeps_the_shards_that_an_operator_has_made(
    stage: str, kinesis: Any, by: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for shard_count in (8, 16):
        if by == "hand":
            scale(kinesis, settings.stream_name(), shard_count)
        else:
            assert update(stage, ShardCount=str(shard_count)) == "UPDATE_COMPLETE"

    stack.ensure(boto3.client("cloudformation"), stage)
    assert count(kinesis) == 16

    newer = tmp_path / "resources.yaml"  # as after `git pull`
    newer.write_text(
        stack.TEMPLATE.read_text().replace("{ Key: app,", "{ Key: newer, Value: yes }, { Key: app,")
    )
    monkeypatch.setattr(stack, "TEMPLATE", newer)
    stack.ensure(boto3.client("cloudformation"), stage)
    assert count(kinesis) == 16
