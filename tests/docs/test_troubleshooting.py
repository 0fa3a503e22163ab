"""What docs/troubleshooting.md quotes, said by the code as it stands there.

Here are those of its headings that no other test comes across, and a look that there is one for each.
"""

import ast
import importlib.util
import re
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from cli.exits import EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_USAGE
from cli.paths import ROOT
from local import pipeline
from local.__main__ import main as local
from local.emulator import process
from local.observers.counters import Stopwatch
from local.pipeline import PipelineError, Plan
from ops import clients
from ops.__main__ import main as ops
from ops.deploy.lambda_settings import LambdaSettings
from ops.output import CommandError
from producer import send
from producer.__main__ import main as producer
from tests.support import faults, headings
from tests.support.headings import says

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


#: Where texts come from that people see.
SPEAKING = ("chalicelib", "infra", "cli", "producer", "local", "ops")


@cache
def said() -> list[str]:
    """Every text in the code, with `…` for what is put in."""
    texts = []
    for package in SPEAKING:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            # A text by itself is a docstring, and an f-string's parts are told with it.
            silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    silent |= {id(part) for part in node.values}
                    texts.append("".join(_part(part) for part in node.values))
                elif (
                    isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
                ):
                    texts.append(node.value)
    return texts


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    return "'…'" if part.conversion == ord("r") else "…"


def test_every_heading_in_troubleshooting_is_a_text_that_the_code_says() -> None:
    found = re.findall(r"^## (.*)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.M)

    assert len(found) > 20
    for heading in found:
        assert heading.startswith("`"), heading
        assert heading.endswith("`"), heading
        assert len(heading.replace("…", "")) > 15, heading
        pattern = "(?s:.*)".join(re.escape(part) for part in heading.strip("`").split("…"))
        assert any(re.search(pattern, text) for text in said()), heading


def test_for_every_heading_in_troubleshooting_a_test_makes_the_code_say_it() -> None:
    looked_for = {
        headings.beginning(start)
        for path in ROOT.glob("tests/**/test_*.py")
        for start in re.findall(r'assert says\(\s*"([^"]+)"', path.read_text())
    }

    assert set(headings.headings()) - looked_for == set()


@pytest.fixture
def operating(aws: str) -> Any:
    """The operators' commands talk to the endpoint, with clients of this test's own."""
    clients.reset()
    yield
    clients.reset()


def test_a_port_that_somebody_has_taken_for_the_api(tmp_path: Path) -> None:
    with socket.create_server((process.HOST, 0)) as other:
        plan = Plan("local", tmp_path, api_port=other.getsockname()[1])
        with (
            pytest.raises(PipelineError) as refused,
            pipeline.running(plan, Stopwatch(), lambda _: None),
        ):
            pytest.fail("it runs")

    assert says("port … is in use; choose another for the API", str(refused.value))


def test_shard_limits_on_an_endpoint_that_somebody_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    for command in (["demo"], ["serve", "--port", "0", "--home", str(tmp_path / "home")]):
        assert local([*command, "--shard-limits"]) == EXIT_USAGE

        assert says("--shard-limits: only the embedded endpoint", capsys.readouterr().err)


def test_an_endpoint_that_does_not_get_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_TIMEOUT_S", 0.0)

    with pytest.raises(process.EndpointError) as refused:
        process.start(log_path=tmp_path / "log")

    assert says("the endpoint did not answer within", str(refused.value))


def test_a_python_without_the_endpoint_s_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(process.EndpointError) as refused:
        process.start(log_path=tmp_path / "log")

    assert says("the package ministack is missing", str(refused.value))


def test_credentials_that_may_not_put_records(
    aws: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = send.client

    def denied() -> "KinesisClient":
        client = real()
        denial = faults.error("AccessDeniedException", "not authorized")
        client.meta.events.register("before-send.kinesis.PutRecords", lambda **_: denial)
        return client

    monkeypatch.setattr(send, "client", denied)
    monkeypatch.setenv("LIFECYCLE_STAGE", "local")

    assert producer(["send", "--events", "1"]) == EXIT_UNAVAILABLE

    assert says("…; check the credentials", capsys.readouterr().err)


def test_a_stage_whose_functions_are_not_deployed(aws: str) -> None:
    with pytest.raises(CommandError) as refused:
        LambdaSettings(boto3.client("lambda"), "prod").configuration("process_lifecycle")

    assert says("there is no function", str(refused.value))


class DeployedTwice:
    """Lambda with two mappings of one function, as when a stage was deployed both ways."""

    def list_event_source_mappings(self, **_: Any) -> Any:
        return {"EventSourceMappings": [{"UUID": "one"}, {"UUID": "other"}]}


def test_a_function_that_has_two_mappings() -> None:
    with pytest.raises(CommandError) as refused:
        LambdaSettings(DeployedTwice(), "prod").mapping("process_lifecycle")  # type: ignore[arg-type]

    assert says("… has … event source mappings", str(refused.value))
    assert "--uuid one or other" in str(refused.value)


def test_an_endpoint_that_knows_no_saved_queries(operating: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert ops(["stack", "apply", "--stage", "prod", "--yes"]) == EXIT_FAILED

    assert says("this endpoint cannot make all of it", capsys.readouterr().err)
