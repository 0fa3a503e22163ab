"""`python -m ops stack adopt`: what a deleted stack left behind, into a new one."""

import json

import boto3
import pytest

from cli.exits import EXIT_FAILED, EXIT_OK
from infra import stages as stage_settings
from local import stack as local_stack
from ops.__main__ import main
from ops.deploy import retained_resources
from tests.support.data_stack import Stages, apply, exists
from tests.support.headings import says


def adopt(*options: str) -> int:
    return main(["stack", "adopt", "--stage", "dev", *options])


def test_what_a_stack_left_behind_is_refused_until_it_is_adopted(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("kinesis").create_stream(StreamName="lifecycle-dev-events", ShardCount=1)
    boto3.client("sqs").create_queue(QueueName="lifecycle-dev-dead-letters")
    assert apply("--yes") == EXIT_FAILED
    said = capsys.readouterr().err
    assert said.startswith("error: lifecycle-dev-events, lifecycle-dev-dead-letters: there already, ")
    assert says("…: there already", said)
    assert "python -m ops stack adopt --stage dev" in said
    assert not exists()

    assert adopt("--dry-run") == EXIT_OK
    assert not exists()
    assert adopt() == EXIT_FAILED
    assert "error: nothing applied; without a terminal to ask on, add --yes" in capsys.readouterr().err
    assert not exists()

    assert adopt("--yes", "--json") == EXIT_OK
    answer = capsys.readouterr()
    assert json.loads(answer.out) == {
        "stage": "dev",
        "changes": [
            {"action": "Import", "resource": name, "type": kind, "name": f"lifecycle-dev-{suffix}"}
            for name, kind, suffix in (
                ("Events", "AWS::Kinesis::Stream", "events"),
                ("DeadLetters", "AWS::SQS::Queue", "dead-letters"),
            )
        ],
    }
    assert "python -m ops stack apply --stage dev" in answer.err

    # The rest, and what waited for it.
    assert apply("--yes") == EXIT_OK
    queue = boto3.resource("sqs").get_queue_by_name(QueueName="lifecycle-dev-dead-letters")
    assert "lifecycle-dev-parking" in queue.attributes["RedrivePolicy"]
    capsys.readouterr()
    assert apply("--yes") == EXIT_OK
    assert "is up to date" in capsys.readouterr().err


def test_what_was_kept_loses_its_protection_once_its_stage_is_to_be_disposable(stages: Stages) -> None:
    def is_protected() -> bool:
        table = boto3.client("dynamodb").describe_table(TableName="lifecycle-dev-history")["Table"]
        return table["DeletionProtectionEnabled"]

    stages.set(Data="kept")
    assert apply("--yes") == EXIT_OK
    local_stack.remove(boto3.client("cloudformation"), "dev")

    stages.set(Data="disposable")
    assert adopt("--yes") == EXIT_OK
    assert is_protected()
    assert apply("--yes") == EXIT_OK
    assert not is_protected()


def test_the_archive_s_bucket_is_adopted_where_there_is_to_be_an_archive(aws_of_ops: None) -> None:
    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = f"lifecycle-dev-archive-{account}-eu-west-1"
    boto3.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    found = {
        archive: retained_resources.find(stage_settings.read("dev", {"Archive": archive}).parameters)
        for archive in ("on", "off")
    }

    boto3.client("s3").delete_bucket(Bucket=bucket)
    assert [each.identifier for each in found["on"]] == [bucket]
    assert found["off"] == []


def test_there_is_nothing_to_adopt_without_anything_left_behind_or_beside_a_stack(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt("--yes") == EXIT_FAILED
    assert says("nothing was left behind for", capsys.readouterr().err)

    assert apply("--yes") == EXIT_OK
    assert adopt("--yes") == EXIT_FAILED
    assert "error: lifecycle-dev-data is there already; python -m ops stack" in capsys.readouterr().err


def test_what_another_stack_holds_is_not_adopted(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    cloudformation = boto3.client("cloudformation")
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "lifecycle-dev-parking"}}
    cloudformation.create_stack(StackName="another", TemplateBody=json.dumps({"Resources": {"Queue": queue}}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="another", WaiterConfig={"Delay": 1})

    code = adopt("--yes")

    cloudformation.delete_stack(StackName="another")
    assert code == EXIT_FAILED
    assert "lifecycle-dev-data: the change set failed: " in capsys.readouterr().err
    assert not exists()
