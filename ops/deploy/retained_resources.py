"""The resources that a deleted stack retained, and how a new stack imports them.

An import takes each resource with the property that identifies its type, and a template that describes these
and no others, each with a DeletionPolicy, without outputs and without tags of the stack (CloudFormation User
Guide, "Import AWS resources into a CloudFormation stack manually").
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError

from infra import template
from ops import clients

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ResourceToImportTypeDef

#: The property that identifies a resource (its type's schema, primaryIdentifier), and the one with its name.
IDENTIFIED_BY = {
    "AWS::Kinesis::Stream": ("Name", "Name"),
    "AWS::DynamoDB::Table": ("TableName", "TableName"),
    "AWS::SQS::Queue": ("QueueUrl", "QueueName"),
    "AWS::S3::Bucket": ("BucketName", "BucketName"),
}

#: Error codes of services for a resource that does not exist.
_MISSING = (
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "404",
)


class RetainedResource(msgspec.Struct, frozen=True):
    """A resource of the template that exists before the stack does."""

    resource: str
    type: str
    name: str
    identifier: str

    def to_import(self) -> "ResourceToImportTypeDef":
        """Return what identifies the resource to CloudFormation."""
        return {
            "ResourceType": self.type,
            "LogicalResourceId": self.resource,
            "ResourceIdentifier": {IDENTIFIED_BY[self.type][0]: self.identifier},
        }


def find(parameters: Mapping[str, str]) -> list[RetainedResource]:
    """Return what holds data, belongs to a stack with these parameters, and exists already."""
    described = template.read()
    found = []
    for resource, definition in described["Resources"].items():
        kind = definition["Type"]
        if kind in IDENTIFIED_BY and _is_made(definition, described, parameters):
            name = _name(definition["Properties"][IDENTIFIED_BY[kind][1]], parameters)
            identifier = _identifier(kind, name)
            if identifier is not None:
                found.append(RetainedResource(resource, kind, name, identifier))
    return found


def import_template(retained: list[RetainedResource]) -> str:
    """Return `infra/resources.yaml` as JSON, reduced to the retained resources.

    Their properties stay as written there, so that the stack's next update finds nothing to change; only a
    property that refers to a resource that does not exist yet waits for that update.
    """
    described = template.read()
    names = {each.resource for each in retained}
    resources = {name: described["Resources"][name] for name in described["Resources"] if name in names}
    for definition in resources.values():
        # As a word, because the functions that stand here need a transform, which may do more than import.
        definition["DeletionPolicy"] = definition["UpdateReplacePolicy"] = "Retain"
        definition["Properties"] = {
            name: value
            for name, value in definition["Properties"].items()
            if not _refers_to(value, described["Resources"].keys() - names)
        }
    kept = ("AWSTemplateFormatVersion", "Description", "Parameters", "Conditions")
    return template.compact({**{key: described[key] for key in kept}, "Resources": resources})


def _is_made(
    definition: Mapping[str, Any], described: Mapping[str, Any], parameters: Mapping[str, str]
) -> bool:
    """Whether the resource's condition holds: a comparison of one parameter with a word."""
    if "Condition" not in definition:
        return True
    parameter, word = described["Conditions"][definition["Condition"]]["Fn::Equals"]
    default = str(described["Parameters"][parameter["Ref"]]["Default"])
    return parameters.get(parameter["Ref"], default) == str(word)


def _name(value: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    name = value["Fn::Sub"]
    for variable, meant in parameters.items():
        name = name.replace(f"${{{variable}}}", meant)
    if "${AWS::AccountId}" in name:
        name = name.replace("${AWS::AccountId}", clients.client("sts").get_caller_identity()["Account"])
    return name.replace("${AWS::Region}", clients.cloudformation().meta.region_name)


def _identifier(kind: str, name: str) -> str | None:
    """Return what identifies the resource to CloudFormation; None when it does not exist."""
    look: dict[str, Callable[[], Any]] = {
        "AWS::Kinesis::Stream": lambda: clients.kinesis().describe_stream_summary(StreamName=name),
        "AWS::DynamoDB::Table": lambda: clients.client("dynamodb").describe_table(TableName=name),
        "AWS::SQS::Queue": lambda: clients.sqs().get_queue_url(QueueName=name),
        "AWS::S3::Bucket": lambda: clients.client("s3").head_bucket(Bucket=name),
    }
    try:
        answer = look[kind]()
    except ClientError as exc:
        if exc.response["Error"]["Code"] in _MISSING:
            return None
        raise
    return str(answer["QueueUrl"]) if kind == "AWS::SQS::Queue" else name


def _refers_to(value: Any, resources: set[str]) -> bool:
    if isinstance(value, list):
        return any(_refers_to(each, resources) for each in value)
    if not isinstance(value, dict):
        return False
    if value.get("Ref") in resources or next(iter(value.get("Fn::GetAtt", [])), None) in resources:
        return True
    return any(_refers_to(each, resources) for each in value.values())
