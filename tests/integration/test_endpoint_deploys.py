"""What the embedded endpoint learnt for deploying.  That deploying works is in test_deploying*.py."""

import json
from types import SimpleNamespace
from typing import Any

import boto3

from local import stream_imports


def test_a_stream_that_is_not_there_is_not_imported(aws: str) -> None:
    cloudformation = boto3.client("cloudformation")
    stream = {"Type": "AWS::Kinesis::Stream", "DeletionPolicy": "Retain", "Properties": {"Name": "no-such"}}

    cloudformation.create_change_set(
        StackName="imports",
        ChangeSetName="one",
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": {"Stream": stream}}),
        ResourcesToImport=[
            {
                "ResourceType": "AWS::Kinesis::Stream",
                "LogicalResourceId": "Stream",
                "ResourceIdentifier": {"Name": "no-such"},
            }
        ],
    )
    proposed = cloudformation.describe_change_set(StackName="imports", ChangeSetName="one")

    cloudformation.delete_stack(StackName="imports")
    assert proposed["Status"] == "FAILED"
    assert "'no-such' was not found" in proposed["StatusReason"]


def test_a_ministack_that_has_changed_is_left_alone() -> None:
    handlers: dict[str, Any] = {"AWS::Kinesis::Stream": {}}
    cloudformation = SimpleNamespace(provisioners=SimpleNamespace(_RESOURCE_HANDLERS=handlers))

    stream_imports.allow(cloudformation, SimpleNamespace(_streams={}))

    assert handlers == {"AWS::Kinesis::Stream": {}}
