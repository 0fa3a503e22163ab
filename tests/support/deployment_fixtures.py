"""What really ships, and somewhere to ship it to.

project     a copy of what Chalice packages; the zip is built once and kept
token       a token that the stage on the endpoint takes
packaged    template and zip of that stage
cloud       an endpoint of this test's own that enforces IAM: a function may do what its policy says
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from chalicelib import wiring
from cli.paths import ROOT
from local import stack
from local.emulator import process
from ops.deploy import package
from tests.support import tokens

#: The copy and the endpoint are ours alone, so the stage can be the one that people deploy.
STAGE = "dev"


@pytest.fixture(scope="session")
def _shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("shipped")
    for name in ("app.py", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    for name in ("chalicelib", "infra"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / ".chalice").mkdir()
    for path in (ROOT / ".chalice").glob("*.json"):
        shutil.copy(path, copy / ".chalice")
    return copy


@pytest.fixture
def project(_shipped: Path) -> Path:
    """The project as it ships.  Shared by tests, so that requirements are fetched once."""
    return _shipped


@pytest.fixture
def token(cloud: str) -> str:
    """A token that the stage takes."""
    return tokens.make()


@pytest.fixture(scope="session")
def packaged(_shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> package.Package:
    """Template and zip of the project's stage."""
    return package.build(STAGE, tmp_path_factory.mktemp("dist"), _shipped)


@pytest.fixture
def cloud(_isolated: None, tmp_path: Path) -> Iterator[str]:
    """An endpoint that enforces IAM, with the data stack of the stage on it."""
    os.environ["AUTH"] = "true"
    running = process.start(log_path=tmp_path / "endpoint.log")
    try:
        os.environ.update(AWS_ENDPOINT_URL=running.url, LIFECYCLE_STAGE=STAGE)
        wiring.reset()
        stack.ensure(boto3.client("cloudformation"), STAGE)
        yield running.url
    finally:
        running.stop()


def deploy(packaged: package.Package, url: str) -> str:
    """What `aws cloudformation package` and `deploy` do; the API's address."""
    boto3.client("s3").create_bucket(
        Bucket="deployments", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    boto3.client("s3").upload_file(packaged.zip, "deployments", "deployment.zip")
    template = json.loads(Path(packaged.template).read_text())
    for resource in template["Resources"].values():
        if "CodeUri" in resource["Properties"]:
            resource["Properties"]["CodeUri"] = "s3://deployments/deployment.zip"
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName="lifecycle-dev",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="lifecycle-dev", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    outputs = cloudformation.describe_stacks(StackName="lifecycle-dev")["Stacks"][0]["Outputs"]
    api_id = next(output["OutputValue"] for output in outputs if output["OutputKey"] == "RestAPIId")
    return f"{url}/restapis/{api_id}/{STAGE}/_user_request_/"
