"""What the embedded endpoint learnt for deploying.  That deploying works is in test_deploying*.py."""

import json

import boto3
import pytest


def description(title: str, *paths: str) -> bytes:
    return json.dumps(
        {
            "swagger": "2.0",
            "info": {"title": title, "version": "1.0"},
            "paths": {
                path: {
                    "get": {"x-amazon-apigateway-integration": {"type": "aws_proxy", "httpMethod": "POST"}}
                }
                for path in paths
            },
        }
    ).encode()


def test_an_api_has_the_routes_of_its_description_and_after_an_overwrite_those_of_the_next(aws: str) -> None:
    gateway = boto3.client("apigateway")
    before = len(gateway.get_rest_apis(limit=500)["items"])

    def paths() -> set[str]:
        return {each["path"] for each in gateway.get_resources(restApiId=api, limit=500)["items"]}

    api = gateway.import_rest_api(body=description("an API", "/one", "/two/{three}"))["id"]
    assert paths() == {"/", "/one", "/two", "/two/{three}"}
    gateway.create_deployment(restApiId=api, stageName="dev")

    put = gateway.put_rest_api(restApiId=api, mode="overwrite", body=description("an API", "/one", "/four"))

    assert (put["id"], put["name"]) == (api, "an API")
    assert paths() == {"/", "/one", "/four"}
    assert [each["stageName"] for each in gateway.get_stages(restApiId=api)["item"]] == ["dev"]
    assert len(gateway.get_rest_apis(limit=500)["items"]) == before + 1
    gateway.delete_rest_api(restApiId=api)
    with pytest.raises(gateway.exceptions.NotFoundException):
        gateway.put_rest_api(restApiId=api, mode="overwrite", body=description("an API"))


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
