"""The real `chalice deploy` against an endpoint with IAM, and what `ops mapping` adds to it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.loaders import Loader

from chalicelib import settings
from cli.exits import EXIT_FAILED, EXIT_OK
from ops import clients
from ops.__main__ import main
from tests.support.deployment_fixtures import STAGE
from tests.support.headings import says
from tests.support.waiting import eventually

PROCESS, TRIAGE, API = "lifecycle-dev-process_lifecycle", "lifecycle-dev-triage_dead_letters", "lifecycle-dev"


def chalice(verb: str, project: Path) -> str:
    """Run chalice as an operator does, only that it looks sooner whether a function is ready."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    environment["AWS_DATA_PATH"] = str(_impatient(project / "botocore-data"))
    command = [str(Path(sys.executable).with_name("chalice")), verb, "--stage", STAGE]
    answer = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def _impatient(directory: Path) -> Path:
    """botocore's waiters for Lambda with a pause of half a second: functions are ready here within one."""
    api = directory / "lambda" / "2015-03-31"
    api.mkdir(parents=True, exist_ok=True)
    waiters = Loader().load_service_model("lambda", "waiters-2")
    for waiter in waiters["waiters"].values():
        waiter["delay"] = 0.5
    (api / "waiters-2.json").write_text(json.dumps(waiters))
    return directory


@pytest.fixture
def deployed(project: Path, cloud: str) -> Iterator[Path]:
    """The stage deployed by chalice alone."""
    clients.reset()
    shutil.rmtree(project / ".chalice" / "deployed", ignore_errors=True)
    chalice("deploy", project)
    yield project
    clients.reset()


class Operator:
    """Runs `python -m ops mapping …` and keeps what it said."""

    def __init__(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._project = project
        self._capsys = capsys

    def mapping(self, verb: str) -> tuple[int, list[tuple[str, str]]]:
        """Exit code, and the settings that differ."""
        self._capsys.readouterr()
        code = main(["mapping", verb, "--stage", STAGE, "--json", "--project", str(self._project)])
        self.said = self._capsys.readouterr()
        differences = json.loads(self.said.out)["differences"]
        return code, [(each["function"], each["setting"]) for each in differences]

    def mapping_fails(self) -> str:
        """What is said when there is nothing to check."""
        self._capsys.readouterr()
        assert main(["mapping", "check", "--stage", STAGE, "--project", str(self._project)]) == EXIT_FAILED
        return self._capsys.readouterr().err


@pytest.fixture
def operator(deployed: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(deployed, capsys)


def mapping_of(function: str) -> dict[str, Any]:
    (mapping,) = boto3.client("lambda").list_event_source_mappings(FunctionName=function)[
        "EventSourceMappings"
    ]
    return dict(mapping)


def variables(function: str) -> dict[str, str]:
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=function)
    return configuration["Environment"]["Variables"]


def test_deploying_arming_drifting_and_deleting(operator: Operator, deployed: Path) -> None:
    """One deployment for the whole story, because each takes several seconds."""
    lambda_ = boto3.client("lambda")

    # As chalice leaves it, nothing listens to reports, so nothing may report.
    assert mapping_of(PROCESS)["StartingPosition"] == "TRIM_HORIZON"
    assert mapping_of(PROCESS)["FunctionResponseTypes"] == []
    assert "LIFECYCLE_PARTIAL_RESPONSES" not in variables(PROCESS)
    code, differences = operator.mapping("check")
    assert code == EXIT_FAILED
    assert ("process_lifecycle", "FunctionResponseTypes") in differences
    assert ("process_lifecycle", "LIFECYCLE_PARTIAL_RESPONSES") in differences
    assert "LOST" not in operator.said.err

    # Applying sets every setting, and applying again changes nothing.
    assert operator.mapping("apply")[0] == EXIT_OK
    armed = mapping_of(PROCESS)
    assert armed["BisectBatchOnFunctionError"] is True
    assert armed["MaximumRetryAttempts"] == 3
    assert armed["MaximumRecordAgeInSeconds"] == 86400
    assert armed["ParallelizationFactor"] == 1
    assert armed["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    destination = armed["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination == "arn:aws:sqs:eu-west-1:000000000000:lifecycle-dev-dead-letters"
    assert armed["BatchSize"] == 500
    assert mapping_of(TRIAGE)["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    for function in PROCESS, TRIAGE:
        assert variables(function)["LIFECYCLE_PARTIAL_RESPONSES"] == "on"
        assert variables(function)["LIFECYCLE_STAGE"] == STAGE
    before = mapping_of(PROCESS)["LastModified"]
    assert operator.mapping("apply") == (EXIT_OK, [])
    assert mapping_of(PROCESS)["LastModified"] == before
    assert operator.mapping("check") == (EXIT_OK, [])

    # What somebody changes by hand is named.
    lambda_.update_event_source_mapping(
        UUID=armed["UUID"], BatchSize=9, MaximumRetryAttempts=7, FunctionResponseTypes=[]
    )
    lambda_.update_function_configuration(FunctionName=API, Timeout=3)
    code, differences = operator.mapping("check")
    assert code == EXIT_FAILED
    assert sorted(differences) == [
        ("api_handler", "Timeout"),
        ("process_lifecycle", "BatchSize"),
        ("process_lifecycle", "FunctionResponseTypes"),
        ("process_lifecycle", "MaximumRetryAttempts"),
    ]
    assert "RECORDS ARE BEING LOST: process_lifecycle reports failures" in operator.said.err
    assert says("RECORDS ARE BEING LOST", operator.said.err)
    assert operator.mapping("apply")[0] == EXIT_OK

    # A mapping that was switched off is switched on again.
    lambda_.update_event_source_mapping(UUID=armed["UUID"], Enabled=False)
    assert operator.mapping("check") == (EXIT_FAILED, [("process_lifecycle", "State")])
    assert operator.mapping("apply")[0] == EXIT_OK
    assert operator.mapping("check") == (EXIT_OK, [])

    # What was deployed works, under its own policies.
    event = {"serial": "SN-DEPLOYED", "type": "service", "occurred_at": "2026-11-20T10:00:00Z"}
    boto3.client("kinesis").put_record(
        StreamName=settings.stream_name(), Data=json.dumps(event).encode(), PartitionKey="SN-DEPLOYED"
    )
    assert eventually(lambda: _stored() == ["SN-DEPLOYED"])

    # A mapping whose batches fail is as it should be; what Lambda says about it is told all the same.
    lambda_.update_function_configuration(
        FunctionName=PROCESS,
        Environment={"Variables": {**variables(PROCESS), "LIFECYCLE_PARTIAL_RESPONSES": "perhaps"}},
    )
    boto3.client("kinesis").put_record(
        StreamName=settings.stream_name(), Data=json.dumps(event).encode(), PartitionKey="SN-DEPLOYED"
    )
    assert eventually(lambda: mapping_of(PROCESS)["LastProcessingResult"] == "FAILED")
    code, differences = operator.mapping("check")
    assert (code, differences) == (EXIT_FAILED, [("process_lifecycle", "LIFECYCLE_PARTIAL_RESPONSES")])
    assert "process_lifecycle: Lambda's latest result is 'FAILED'; docs/oper" in operator.said.err
    assert operator.mapping("apply")[0] == EXIT_OK
    assert eventually(lambda: mapping_of(PROCESS)["LastProcessingResult"].startswith("OK"))
    assert operator.mapping("check") == (EXIT_OK, [])
    assert "latest result" not in operator.said.err

    # A later deployment falls back to raising, not to losing; the mapping keeps its settings.
    chalice("deploy", deployed)
    assert "LIFECYCLE_PARTIAL_RESPONSES" not in variables(PROCESS)
    assert mapping_of(PROCESS)["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    code, differences = operator.mapping("check")
    assert code == EXIT_FAILED
    assert {setting for _, setting in differences} == {"LIFECYCLE_PARTIAL_RESPONSES"}

    # Without chalice's notes the mappings are found by their functions.
    notes = deployed / ".chalice" / "deployed" / f"{STAGE}.json"
    kept = notes.read_bytes()
    notes.unlink()
    assert operator.mapping("apply")[0] == EXIT_OK
    notes.write_bytes(kept)

    # Deleting the functions leaves the data alone.
    chalice("delete", deployed)
    assert _stored() == ["SN-DEPLOYED"]
    assert settings.stream_name() in boto3.client("kinesis").list_streams()["StreamNames"]
    assert lambda_.list_functions()["Functions"] == []
    assert operator.mapping_fails() == (
        "error: there is no event source mapping of lifecycle-dev-process_lifecycle; "
        "deploy first: docs/deploying.md\n"
    )


def _stored() -> list[str]:
    items = boto3.client("dynamodb").scan(TableName=settings.history_table())["Items"]
    return [item["serial"]["S"] for item in items]
