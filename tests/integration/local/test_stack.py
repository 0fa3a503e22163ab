"""The stack of infra/resources.yaml through an endpoint's CloudFormation."""

from pathlib import Path

import boto3
import pytest

from chalicelib import settings
from local import stack

BROKEN = """
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Stage: { Type: String }
  Data: { Type: String }
  StreamMode: { Type: String }
  ShardCount: { Type: Number }
  Watching: { Type: String }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "lifecycle-${Stage}-broken"
  Forgetful:
    Type: AWS::SQS::Queue
    DependsOn: Queue
    Properties:
      QueueName: !Sub "lifecycle-${Stage}-forgetful"
      MessageRetentionPeriod: 1
"""


def test_a_stack_has_every_resource_that_the_settings_name(stage: str) -> None:
    streams = boto3.client("kinesis")
    tables = boto3.client("dynamodb")
    queues = boto3.client("sqs")

    stream = streams.describe_stream(StreamName=settings.stream_name())["StreamDescription"]
    assert stream["StreamStatus"] == "ACTIVE"
    assert len(stream["Shards"]) == stack.SHARDS
    for table in settings.history_table(), settings.quarantine_table():
        assert tables.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE"
    for queue in settings.dead_letter_queue(), settings.parking_queue():
        assert queues.get_queue_url(QueueName=queue)["QueueUrl"].endswith(queue)


def test_ensuring_a_stack_again_keeps_what_it_holds(stage: str) -> None:
    table = boto3.resource("dynamodb").Table(settings.history_table())
    table.put_item(Item={"serial": "SN-1", "position": "p"})

    stack.ensure(boto3.client("cloudformation"), stage)

    assert table.scan()["Count"] == 1


def test_removing_a_stack_removes_its_resources_and_twice_is_once(stage: str) -> None:
    cloudformation = boto3.client("cloudformation")

    stack.remove(cloudformation, stage)
    stack.remove(cloudformation, stage)

    assert settings.stream_name() not in boto3.client("kinesis").list_streams()["StreamNames"]
    assert settings.history_table() not in boto3.client("dynamodb").list_tables()["TableNames"]


def test_a_refused_stack_says_which_and_why(aws: str) -> None:
    with pytest.raises(stack.StackError, match=r"stack lifecycle-NO-data was refused: .*Stage"):
        stack.ensure(boto3.client("cloudformation"), "NO")


def test_a_failed_update_names_what_failed_this_time(
    stage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cloudformation = boto3.client("cloudformation")
    for number, wrong in enumerate(["MessageRetentionPeriod", "VisibilityTimeout"]):
        template = BROKEN.replace("MessageRetentionPeriod: 1", f"{wrong}: 99999999").replace(
            "Forgetful", f"Wrong{number}"
        )
        broken = tmp_path / f"{number}.yaml"
        broken.write_text(template)
        monkeypatch.setattr(stack, "TEMPLATE", broken)

        with pytest.raises(stack.StackError, match=rf"ROLLBACK_COMPLETE: Wrong{number}: .*{wrong}"):
            stack.ensure(cloudformation, stage)


def test_a_failed_stack_names_the_resource_and_can_be_tried_again(
    aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_stage: str
) -> None:
    cloudformation = boto3.client("cloudformation")
    broken = tmp_path / "broken.yaml"
    broken.write_text(BROKEN)

    with monkeypatch.context() as patched:
        patched.setattr(stack, "TEMPLATE", broken)
        with pytest.raises(stack.StackError, match=r"ROLLBACK_COMPLETE: Forgetful: .*MessageRetentionPeriod"):
            stack.ensure(cloudformation, empty_stage)

    stack.ensure(cloudformation, empty_stage)
