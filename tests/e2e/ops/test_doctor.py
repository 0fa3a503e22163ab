"""`python -m ops doctor` on a whole deployment: everything passes, and each thing that is broken is named."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from chalicelib import settings
from cli.exits import EXIT_FAILED, EXIT_OK
from ops import clients
from ops.__main__ import main
from ops.deploy import checks, package
from tests.support import tokens
from tests.support.deployment_fixtures import STAGE, deploy

PROCESS = "lifecycle-dev-process_lifecycle"

ALARM = {
    "Namespace": "AWS/Lambda",
    "MetricName": "Errors",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}


def failed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The checks that fail, with what was found."""
    capsys.readouterr()
    code = main(["doctor", "--stage", STAGE, "--json"])
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {each["check"]: each["found"] for each in findings if not each["ok"]}
    assert code == (EXIT_FAILED if found else EXIT_OK)
    return found


def findings(capsys: pytest.CaptureFixture[str], stage: str) -> list[dict[str, Any]]:
    """Every check of a stage, in the order of the report."""
    capsys.readouterr()
    assert main(["doctor", "--stage", stage, "--json"]) == EXIT_FAILED
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def mapping(**changes: Any) -> Callable[[], object]:
    """Change the Kinesis mapping."""

    def change() -> object:
        client = boto3.client("lambda")
        (found,) = client.list_event_source_mappings(FunctionName=PROCESS)["EventSourceMappings"]
        return client.update_event_source_mapping(UUID=found["UUID"], **changes)

    return change


def function(name: str, **changes: Any) -> Callable[[], object]:
    """Change a function."""
    return lambda: boto3.client("lambda").update_function_configuration(FunctionName=name, **changes)


def queue(**attributes: str) -> Callable[[], object]:
    """Change the dead-letter queue."""

    def change() -> object:
        sqs = boto3.client("sqs")
        url = sqs.get_queue_url(QueueName=settings.dead_letter_queue())["QueueUrl"]
        return sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

    return change


def widen_policy() -> object:
    iam = boto3.client("iam")
    role = boto3.client("lambda").get_function_configuration(FunctionName="lifecycle-dev")["Role"]
    document = {
        "Statement": [
            {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": "arn:aws:dynamodb:*:*:table/*"},
        ]
    }
    return iam.put_role_policy(
        RoleName=role.rsplit("/", 1)[-1], PolicyName="quick-fix", PolicyDocument=json.dumps(document)
    )


def forget_recovery() -> object:
    return boto3.client("dynamodb").update_continuous_backups(
        TableName=settings.history_table(),
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )


def stop_encrypting() -> object:
    return boto3.client("kinesis").stop_stream_encryption(
        StreamName=settings.stream_name(), EncryptionType="KMS", KeyId="alias/aws/kinesis"
    )


def store_a_void_as_an_older_version_did() -> object:
    return boto3.client("dynamodb").put_item(
        TableName=settings.history_table(),
        Item={
            "serial": {"S": "SN-1"},
            "position": {"S": "2026-01-01T00:00:00.000000Z#" + "0" * 32},
            "type": {"S": "void"},
            "occurred_at": {"S": "2026-01-01T00:00:00Z"},
            "metadata": {"S": '{"event_id":"e-1"}'},
            "recorded_at": {"N": "1"},
        },
    )


def revoke_tokens() -> None:
    for token in tokens.access().tokens():
        tokens.access().remove(token.digest)


def ring() -> object:
    return boto3.client("cloudwatch").set_alarm_state(
        AlarmName=f"lifecycle-{STAGE}-parking", StateValue="ALARM", StateReason="test"
    )


def what_the_endpoints_cloudformation_leaves_out() -> None:
    """Alarms (it knows no metric math), encryption at rest and continuous backups."""
    for name in checks.alarm_names(STAGE):
        boto3.client("cloudwatch").put_metric_alarm(AlarmName=name, **ALARM)
    boto3.client("kinesis").start_stream_encryption(
        StreamName=settings.stream_name(), EncryptionType="KMS", KeyId="alias/aws/kinesis"
    )
    dynamodb = boto3.client("dynamodb")
    for table in settings.history_table(), settings.quarantine_table(), settings.access_table():
        dynamodb.update_table(TableName=table, SSESpecification={"Enabled": True, "SSEType": "KMS"})
        dynamodb.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )


def test_a_whole_deployment_passes_and_whatever_is_broken_is_named(
    packaged: package.Package, cloud: str, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One deployment for all of it.  Changes stay, so what is broken adds up; the last report names all."""
    clients.reset()
    deploy(packaged, cloud)
    assert failed(capsys).keys() == {
        "every alarm is there",
        "stream, tables and queues are encrypted",
        "tables can be restored to any second of the last 35 days",
    }
    what_the_endpoints_cloudformation_leaves_out()
    assert failed(capsys) == {}

    expected: dict[str, str] = {}
    for change, check, found in [
        (mapping(BisectBatchOnFunctionError=False), "a failing batch is halved", "is false"),
        (mapping(MaximumRetryAttempts=-1), "a failing batch is not tried for ever", "is -1"),
        (
            mapping(MaximumRecordAgeInSeconds=604800),
            "records are given up before the stream forgets them",
            "at most 604800 s old, the stream keeps 604800 s",
        ),
        (
            mapping(DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:eu-west-1:000000000000:x"}}),
            "what is given up goes to a queue that is there",
            "the destination is arn:aws:sqs:eu-west-1:000000000000:x",
        ),
        (
            mapping(FunctionResponseTypes=[]),
            "partial failures are reported and listened to",
            "REPORTED AND NOT LISTENED TO",
        ),
        (mapping(Enabled=False), "event source mappings are enabled", "process_lifecycle: Disabled"),
        (
            queue(VisibilityTimeout="600"),
            "a dead letter stays hidden for six of triage's time-outs",
            "hidden for 600 s, the time-out is 120 s",
        ),
        (
            queue(MessageRetentionPeriod="345600"),
            "dead letters and parked ones are kept longer than their records",
            "lifecycle-dev-dead-letters: 345600",
        ),
        (stop_encrypting, "stream, tables and queues are encrypted", "lifecycle-dev-events"),
        (
            forget_recovery,
            "tables can be restored to any second of the last 35 days",
            "lifecycle-dev-history: DISABLED",
        ),
        (
            function(PROCESS, TracingConfig={"Mode": "PassThrough"}),
            "invocations are traced",
            "process_lifecycle: PassThrough",
        ),
        (
            function(PROCESS, MemorySize=256),
            "functions have the time and memory that infra/functions.json says",
            "process_lifecycle MemorySize 256, expected 1024",
        ),
        (
            revoke_tokens,
            "only who has a token may ask",
            "the API refuses everybody",
        ),
        (
            widen_policy,
            "policies name their actions and resources",
            "api_handler: dynamodb:* on *; api_handler: dynamodb:Scan on arn:aws:dynamodb:*:*:table/*",
        ),
        (store_a_void_as_an_older_version_did, "every void has its marker", "1 of 1 void without"),
        (ring, "no alarm is ringing", "lifecycle-dev-parking"),
    ]:
        change()
        expected[check] = found
        report = failed(capsys)
        assert check in report
        assert found in report[check]

    # A record that may be a week old has no time left for the dead-letter queue.
    assert report.keys() - expected.keys() == {
        "the stream outlasts the longest way through the dead-letter queue"
    }


def test_nothing_deployed_is_a_report_whose_fixes_work_in_their_order(
    cloud: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`mapping apply` is no fix where there is nothing to apply it to."""
    clients.reset()
    apply, deploying = "python -m ops stack apply --stage", "chalice deploy --stage"

    data_only, nothing = findings(capsys, STAGE), findings(capsys, "prod")

    assert [(each["check"], each["ok"]) for each in data_only[:2]] == [
        ("stream, tables and queues are there", True),
        ("functions and their event source mappings are there", False),
    ]
    unread = [each for each in data_only if "deploy first: docs/deploying.md" in each["found"]]
    assert len(unread) > 10
    assert all(each["fix"].startswith(f"{deploying} {STAGE}") for each in unread)
    assert not any(each["fix"].startswith("python -m ops mapping") for each in data_only if not each["ok"])
    assert [nothing[0]["fix"], nothing[1]["fix"].partition(",")[0]] == [f"{apply} prod", f"{deploying} prod"]

    assert main(["doctor", "--stage", STAGE]) == EXIT_FAILED
    told = capsys.readouterr()
    assert "FAIL  a failing batch is halved (cannot be read: " in told.out
    assert "begin with the first fix, others may follow from it" in told.err
