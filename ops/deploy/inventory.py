"""What is deployed of a stage, for `ops doctor`: read from AWS once, and only when asked for."""

import json
from functools import cached_property
from typing import Any

from chalicelib import settings
from ops import clients
from ops.deploy import lambda_settings, policies

PROCESS: policies.Function = "process_lifecycle"
TRIAGE: policies.Function = "triage_dead_letters"


class StageInventory:
    """A stage on AWS.  Reading an attribute may raise ClientError, BotoCoreError or CommandError."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._settings = lambda_settings.LambdaSettings(clients.lambda_(), stage)

    @cached_property
    def ingest_mapping(self) -> dict[str, Any]:
        """The Kinesis event source mapping."""
        return self._settings.mapping(PROCESS)

    @cached_property
    def triage_mapping(self) -> dict[str, Any]:
        """The SQS event source mapping."""
        return self._settings.mapping(TRIAGE)

    @cached_property
    def functions(self) -> dict[policies.Function, dict[str, Any]]:
        """Every function's configuration."""
        return {function: self._settings.configuration(function) for function in policies.TABLE}

    @cached_property
    def stream(self) -> dict[str, Any]:
        """The stream's summary."""
        answer = clients.kinesis().describe_stream_summary(StreamName=settings.stream_name())
        return dict(answer["StreamDescriptionSummary"])

    @cached_property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The tables, with their continuous backups, by name."""
        dynamodb = clients.client("dynamodb")
        return {
            name: {
                **dynamodb.describe_table(TableName=name)["Table"],
                **dynamodb.describe_continuous_backups(TableName=name),
            }
            for name in (settings.history_table(), settings.quarantine_table(), settings.access_table())
        }

    @cached_property
    def queues(self) -> dict[str, dict[str, str]]:
        """Both queues' attributes, by name."""
        return {name: self.queue(name) for name in (settings.dead_letter_queue(), settings.parking_queue())}

    def queue(self, name: str) -> dict[str, str]:
        """A queue's attributes."""
        url = clients.sqs().get_queue_url(QueueName=name)["QueueUrl"]
        attributes = clients.sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return {str(name): value for name, value in attributes.items()}

    @cached_property
    def alarms(self) -> dict[str, str]:
        """The state of every alarm of the stage, by name."""
        pages = clients.client("cloudwatch").get_paginator("describe_alarms")
        prefix = f"{settings.APP_NAME}-{self.stage}-"
        return {
            alarm["AlarmName"]: alarm["StateValue"]
            for page in pages.paginate(AlarmNamePrefix=prefix)
            for alarm in page["MetricAlarms"]
        }

    @cached_property
    def statements(self) -> list[tuple[str, dict[str, Any]]]:
        """Every statement of every function's role, with the function's name."""
        iam = clients.client("iam")
        found: list[tuple[str, dict[str, Any]]] = []
        for function, described in self.functions.items():
            role = described["Role"].rsplit("/", 1)[-1]
            documents = [
                iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
            ]
            for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
                policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
                version = iam.get_policy_version(
                    PolicyArn=attached["PolicyArn"], VersionId=policy["DefaultVersionId"]
                )
                documents.append(version["PolicyVersion"]["Document"])
            for document in documents:
                document = json.loads(document) if isinstance(document, str) else document
                found += [(function, statement) for statement in listed(document["Statement"])]
        return found


def listed(value: Any) -> list[Any]:
    """Return the values as a list; IAM writes a single one as itself."""
    return value if isinstance(value, list) else [value]
