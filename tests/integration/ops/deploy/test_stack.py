"""`python -m ops stack`: change sets on the endpoint's CloudFormation."""

import json
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from infra import stages as stage_settings
from infra import template
from local import stack as local_stack
from ops.__main__ import main
from ops.deploy import change_set, retained_resources
from tests.support.headings import says

STACK = "lifecycle-dev-data"


class Stages:
    """An infra/stages.json of the test's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # No alarms: the endpoint's CloudFormation knows no metric math.
        self._dev = {"Data": "disposable", "Watching": "off", "StreamMode": "PROVISIONED", "ShardCount": 1}
        self.set()

    def set(self, **parameters: Any) -> None:
        self._dev |= parameters
        self._path.write_text(json.dumps({"dev": self._dev}))


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The template as the endpoint takes it: its change sets refuse saved queries, made or not."""
    before, _, rest = template.RESOURCES.read_text().partition("  # --- saved queries")
    known = tmp_path / "resources.yaml"
    known.write_text(f"{before}Outputs:{rest.partition('Outputs:')[2]}")
    monkeypatch.setattr(template, "RESOURCES", known)
    return known


@pytest.fixture
def stages(
    aws_of_ops: None, resources: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Stages]:
    path = tmp_path / "stages.json"
    monkeypatch.setattr(stage_settings, "STAGES", path)
    monkeypatch.setattr(change_set, "POLL_S", 0.02)
    yield Stages(path)
    local_stack.remove(boto3.client("cloudformation"), "dev")


@pytest.fixture
def aws_of_ops(aws: str) -> Iterator[None]:
    from ops import clients

    clients.reset()
    yield
    clients.reset()


def stream() -> dict[str, Any]:
    answer = boto3.client("kinesis").describe_stream_summary(StreamName="lifecycle-dev-events")
    summary: dict[str, Any] = dict(answer["StreamDescriptionSummary"])
    return summary


def exists() -> bool:
    found = boto3.client("cloudformation").list_stacks()["StackSummaries"]
    return any(each["StackName"] == STACK and each["StackStatus"] != "DELETE_COMPLETE" for each in found)


def apply(*options: str) -> int:
    return main(["stack", "apply", "--stage", "dev", *options])


def adopt(*options: str) -> int:
    return main(["stack", "adopt", "--stage", "dev", *options])


def test_a_stack_is_created_updated_and_then_up_to_date(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply("--yes", "--json") == EXIT_OK
    created = json.loads(capsys.readouterr().out)
    assert {(change["action"], change["resource"]) for change in created["changes"]} >= {
        ("Add", "Events"),
        ("Add", "History"),
        ("Add", "DeadLetters"),
    }
    assert (stream()["OpenShardCount"], stream()["RetentionPeriodHours"]) == (1, 168)

    stages.set(RetentionHours=200)
    assert apply("--yes", "--json") == EXIT_OK
    updated = json.loads(capsys.readouterr().out)
    assert ("Modify", "Events") in [(each["action"], each["resource"]) for each in updated["changes"]]
    assert stream()["RetentionPeriodHours"] == 200

    assert apply("--yes", "--json") == EXIT_OK
    again = capsys.readouterr()
    assert json.loads(again.out)["changes"] == []
    assert "is up to date" in again.err


def test_a_dry_run_shows_the_changes_and_leaves_nothing_behind(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply("--dry-run") == EXIT_OK

    shown = capsys.readouterr()
    assert "AWS::Kinesis::Stream" in shown.out
    assert "nothing applied" in shown.err
    assert not exists()


def test_what_an_endpoint_cannot_make_can_be_left_out(
    aws_of_ops: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The template and the stages as they are, as in the rehearsal of docs/deploying.md."""
    monkeypatch.setattr(change_set, "POLL_S", 0.02)

    assert apply("--dry-run") == EXIT_FAILED
    said = capsys.readouterr().err
    assert "AWS::Logs::QueryDefinition" in said
    assert "--set Watching=off leaves alarms, dashboard and saved queries out" in said

    assert apply("--dry-run", "--set", "Watching=off") == EXIT_OK
    assert not exists()


def test_a_value_that_the_template_does_not_take_is_named_with_where_to_look(
    aws_of_ops: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply("--dry-run", "--set", "Watching=of") == EXIT_UNAVAILABLE

    said = capsys.readouterr().err
    assert "Watching" in said
    assert "infra/resources.yaml" in said
    assert "make serve" not in said


def test_without_a_yes_nothing_is_applied(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply() == EXIT_FAILED

    assert "error: nothing applied; without a terminal to ask on, add --yes" in capsys.readouterr().err
    assert not exists()


def test_whoever_answers_no_on_a_terminal_is_not_told_that_there_is_none(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, its = pty.openpty()
    with os.fdopen(its) as terminal:
        os.write(ours, b"n\n")
        monkeypatch.setattr(sys, "stdin", terminal)
        assert apply() == EXIT_FAILED
    os.close(ours)

    assert capsys.readouterr().err.splitlines()[-2:] == [
        f"apply this to {STACK}? [y/N]",
        "error: nothing applied; you did not say yes",
    ]
    assert not exists()


def test_what_would_lose_data_is_not_applied_unless_that_is_said(
    stages: Stages, resources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply("--yes") == EXIT_OK
    table = boto3.resource("dynamodb").Table("lifecycle-dev-history")
    table.put_item(Item={"serial": "SN-1", "position": "p"})
    resources.write_text(resources.read_text().replace("-${Stage}-history", "-${Stage}-histories"))
    capsys.readouterr()

    assert apply("--yes") == EXIT_FAILED

    told = capsys.readouterr().err
    assert "this would replace History and lose what is in it" in told
    assert says("this would replace", told)
    assert table.scan()["Count"] == 1


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


def test_the_endpoint_makes_anew_what_a_stack_names_and_what_is_there_already(stages: Stages) -> None:
    """Unlike AWS, which refuses; docs/deploying.md says so.  It is why `stack apply` looks first."""
    kinesis = boto3.client("kinesis")
    kinesis.create_stream(StreamName="lifecycle-dev-events", ShardCount=2)
    kinesis.put_record(StreamName="lifecycle-dev-events", Data=b"{}", PartitionKey="SN-1")

    local_stack.ensure(boto3.client("cloudformation"), "dev", shards=1)

    shards = kinesis.list_shards(StreamName="lifecycle-dev-events")["Shards"]
    start = kinesis.get_shard_iterator(
        StreamName="lifecycle-dev-events", ShardId=shards[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert (len(shards), kinesis.get_records(ShardIterator=start)["Records"]) == (1, [])


def test_a_stage_without_parameters_is_named(aws: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stack", "apply", "--stage", "local"]) == EXIT_USAGE

    assert "error: stage 'local' is not in infra/stages.json; it has dev, prod" in capsys.readouterr().err


def test_a_failure_names_the_resource_and_the_reason(
    stages: Stages, resources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resources.write_text(resources.read_text().replace("VisibilityTimeout: 720", "VisibilityTimeout: 72000"))

    assert apply("--yes") == EXIT_FAILED

    assert "error: lifecycle-dev-data is ROLLBACK_COMPLETE: DeadLetters: " in capsys.readouterr().err
    assert apply("--yes") == EXIT_FAILED
    assert "can only be deleted: aws cloudformation delete-stack" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["Watching", "=off"])
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["stack", "apply", "--set", text])
