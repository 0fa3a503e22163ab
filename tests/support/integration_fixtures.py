"""What several integration tests start from.

stream         a shard of this test's own stream, to put records into
ops            the operators' command line, on this test's stage
listening      a client whose event source mapping listens to partial responses
handler        triage as its handler builds it, on this test's stage, with a clock of its own
putter_stream  the stream that a module's tests of the producer share; each sends entries of its own
port           an endpoint of this test's own, such as `make serve` starts: its port
terminal       a terminal in a copy of the project, to follow the documents in
"""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from chalice.test import Client

from local.emulator import process
from ops import clients as clients_of_ops
from tests.support import deploying_project
from tests.support.dead_letters import Stream
from tests.support.deploying_project import Terminal
from tests.support.operators import Operator
from tests.support.put_records import STREAM
from tests.support.triage import Handler


@pytest.fixture
def stream(stage: str) -> Stream:
    return Stream()


@pytest.fixture
def ops(stage: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    yield Operator(capsys)
    clients_of_ops.reset()


@pytest.fixture
def listening(client: Client) -> Client:
    os.environ["LIFECYCLE_PARTIAL_RESPONSES"] = "on"
    return client


@pytest.fixture
def handler(stage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handler]:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    handler = Handler()
    yield handler
    handler.dynamodb.close()
    handler.kinesis.close()


@pytest.fixture(scope="module")
def _stream_of_module(endpoint_url: str) -> Iterator[None]:
    kinesis = boto3.client("kinesis", endpoint_url=endpoint_url)
    kinesis.create_stream(StreamName=STREAM, ShardCount=4)
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    yield
    kinesis.delete_stream(StreamName=STREAM)
    kinesis.close()


@pytest.fixture
def putter_stream(aws: str, _stream_of_module: None) -> None:
    """Boto3 talks to the endpoint that has it."""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[str]:
    """The port of an endpoint such as `make serve` starts, of this test's own: the stage has a fixed name."""
    running = process.start(log_path=tmp_path / "endpoint.log")
    yield running.url.rpartition(":")[2]
    running.stop()


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in which nothing has been exported yet."""
    return Terminal(deploying_project.project(tmp_path / "project"), tmp_path)
