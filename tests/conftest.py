"""What every test gets: no environment of the developer's own, and a real endpoint to talk to.

endpoint_url    an AWS endpoint: the one in TEST_ENDPOINT_URL, or our own on a free port; one per worker
aws             boto3 talks to it; nothing exists yet that the test did not make
stage           a stage of this test's own: stream, tables and queues from infra/resources.yaml
empty_stage     a stage's name, before its stack is created
client          Chalice's test client on that stage, which asks nobody for a token
module_stage    a stage for all tests of a module; what Hypothesis needs, since it runs a test many times
"""

import logging
import os
import signal
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import hypothesis
import pytest
from chalice.test import Client

from chalicelib import wiring
from chalicelib.telemetry import logs
from local import stack
from local.emulator import process
from tests.support import names

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

pytest_plugins = ["tests.support.integration_fixtures", "tests.support.deployment_fixtures"]

# How long one example takes says nothing on a machine that runs other things too.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


# A job that a shell started in the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def endpoint_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real HTTP endpoint.  Several tests share it, so names in it are random."""
    if url := os.environ.get("TEST_ENDPOINT_URL"):
        yield url
        return
    running = process.start(log_path=tmp_path_factory.mktemp("endpoint") / "log")
    yield running.url
    running.stop()


@pytest.fixture(scope="session", autouse=True)
def _isolated_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the developer's AWS profile, region or stage."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("AWS_", "LIFECYCLE_")):
            del os.environ[name]
    nowhere = tmp_path_factory.mktemp("aws")
    os.environ.update(
        CREDENTIALS,
        AWS_CONFIG_FILE=str(nowhere / "config"),
        AWS_SHARED_CREDENTIALS_FILE=str(nowhere / "credentials"),
        AWS_EC2_METADATA_DISABLED="true",
    )
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    """No test sees what another has set: code under test sets variables too (`cli.stage.use`)."""
    before = dict(os.environ)
    wiring.reset()
    # A logger's stream is the standard output of the test that built it; Powertools keeps it by service.
    logs.logger.cache_clear()
    for name in [name for name in logging.Logger.manager.loggerDict if name.startswith("lifecycle-")]:
        del logging.Logger.manager.loggerDict[name]
    yield
    wiring.reset()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def aws(_isolated: None, endpoint_url: str) -> str:
    """boto3 and everything built on it talks to the endpoint at this URL."""
    os.environ["AWS_ENDPOINT_URL"] = endpoint_url
    wiring.reset()
    return endpoint_url


@pytest.fixture
def empty_stage(aws: str) -> Iterator[str]:
    """A stage that has a name and nothing else yet; what the test makes of it is removed afterwards."""
    name = random_stage()
    os.environ["LIFECYCLE_STAGE"] = name
    wiring.reset()
    yield name
    cloudformation = _cloudformation(aws)
    stack.remove(cloudformation, name)
    cloudformation.close()


@pytest.fixture
def stage(empty_stage: str, aws: str) -> str:
    """A stage of this test's own, as `LIFECYCLE_STAGE` and as its name."""
    cloudformation = _cloudformation(aws)
    stack.ensure(cloudformation, empty_stage)
    cloudformation.close()
    return empty_stage


@pytest.fixture(scope="module")
def _stage_of_module(endpoint_url: str) -> Iterator[str]:
    cloudformation = _cloudformation(endpoint_url)
    name = random_stage()
    stack.ensure(cloudformation, name)
    yield name
    stack.remove(cloudformation, name)
    cloudformation.close()


@pytest.fixture
def module_stage(aws: str, _stage_of_module: str) -> str:
    """The stage that this module's tests share."""
    os.environ["LIFECYCLE_STAGE"] = _stage_of_module
    wiring.reset()
    return _stage_of_module


@pytest.fixture
def client(stage: str) -> Iterator[Client]:
    """Chalice's own test client, on this test's stage."""
    from app import app  # importing it reads the environment for the decorators' names

    os.environ.update(names.open_to_everybody())

    # A stage that .chalice/config.json does not know, so that its variables do not replace this test's.
    with Client(app, stage_name="test") as running:
        yield running


def random_stage() -> str:
    """A stage name nobody else has."""
    return f"t{uuid.uuid4().hex[:8]}"


def _cloudformation(url: str) -> "CloudFormationClient":
    return boto3.client("cloudformation", endpoint_url=url)
