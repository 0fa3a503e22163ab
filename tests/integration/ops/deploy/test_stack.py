"""`python -m ops stack`: change sets on the endpoint's CloudFormation."""

import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from local import stack as local_stack
from ops.__main__ import main
from ops.deploy import change_set
from tests.support.data_stack import STACK, Stages, apply, exists
from tests.support.headings import says


def stream() -> dict[str, Any]:
    answer = boto3.client("kinesis").describe_stream_summary(StreamName="lifecycle-dev-events")
    summary: dict[str, Any] = dict(answer["StreamDescriptionSummary"])
    return summary


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
