"""What is deployed, as files: templates that AWS takes, settings that agree, policies without wildcards."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from cli.paths import ROOT
from infra import functions, template
from ops.deploy import policies
from ops.deploy.lambda_settings import FUNCTIONS

CONFIG: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
STAGES = sorted(CONFIG["stages"].keys() - {"local"})
RESOURCES: dict[str, Any] = template.read()["Resources"]


def test_the_data_stacks_template_is_clean() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    answer = subprocess.run(
        [linter, "-r", "eu-west-1", "us-east-1", "-t", template.RESOURCES], capture_output=True
    )

    assert (answer.returncode, answer.stdout.decode()) == (0, "")


def test_names_are_those_the_code_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_STAGE", "prod")
    names = {
        logical_id: RESOURCES[logical_id]["Properties"][key]["Fn::Sub"]
        .replace("${AppName}", settings.APP_NAME)
        .replace("${Stage}", "prod")
        for logical_id, key in (
            ("Events", "Name"),
            ("History", "TableName"),
            ("Quarantine", "TableName"),
            ("Access", "TableName"),
            ("DeadLetters", "QueueName"),
            ("Parking", "QueueName"),
        )
    }

    assert list(names.values()) == [
        settings.stream_name(),
        settings.history_table(),
        settings.quarantine_table(),
        settings.access_table(),
        settings.dead_letter_queue(),
        settings.parking_queue(),
    ]


def test_what_holds_data_is_encrypted_and_outlives_its_stack() -> None:
    properties = {name: resource["Properties"] for name, resource in RESOURCES.items()}

    assert properties["Events"]["StreamEncryption"]["EncryptionType"] == "KMS"
    for table in "History", "Quarantine", "Access":
        assert properties[table]["SSESpecification"]["SSEEnabled"] is True
        assert properties[table]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert properties[table]["DeletionProtectionEnabled"] == {"Fn::If": ["IsKept", True, False]}
    for queue in "DeadLetters", "Parking":
        assert properties[queue]["SqsManagedSseEnabled"] is True
    for kept in "Events", "History", "Quarantine", "Access", "DeadLetters", "Parking":
        assert RESOURCES[kept]["DeletionPolicy"] == {"Fn::If": ["IsKept", "RetainExceptOnCreate", "Delete"]}
        assert RESOURCES[kept]["UpdateReplacePolicy"] == {"Fn::If": ["IsKept", "Retain", "Delete"]}


def test_the_times_of_the_failure_path_fit_into_each_other() -> None:
    of = functions.properties("prod")
    source = of["ProcessLifecycle"]["Events"]["ProcessLifecycleKinesisEventSource"]["Properties"]
    queue = RESOURCES["DeadLetters"]["Properties"]
    retention_s = template.read()["Parameters"]["RetentionHours"]["Default"] * 3600
    triage_s = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]

    # Six times the function's time-out: Lambda developer guide, "Using Lambda with Amazon SQS".
    assert queue["VisibilityTimeout"] == 6 * of["TriageDeadLetters"]["Timeout"]
    assert source["MaximumRecordAgeInSeconds"] + triage_s < retention_s
    assert queue["MessageRetentionPeriod"] > retention_s
    assert 0 <= source["MaximumRetryAttempts"] < 100


def test_both_ways_out_give_a_function_the_same_time_and_memory() -> None:
    wanted = functions.properties("prod")
    for logical_id, function in FUNCTIONS.items():
        own = CONFIG["lambda_functions"][function]
        assert own["lambda_timeout"] == wanted[logical_id]["Timeout"], function
        memory = own.get("lambda_memory_size", CONFIG["lambda_memory_size"])
        assert memory == wanted[logical_id]["MemorySize"], function
        assert CONFIG["xray"] == (wanted[logical_id]["Tracing"] == "Active")


def test_the_api_answers_before_its_gateway_gives_up() -> None:
    # 29 s: Amazon API Gateway quotas, integration timeout.
    assert functions.properties("prod")["APIHandler"]["Timeout"] < 29


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_points_at_nobody_elses_resources(stage: str) -> None:
    rendered = functions.rendered(stage)

    assert "${stage}" not in rendered
    assert set(re.findall(r"lifecycle-([a-z0-9]+)", rendered)) == {stage}


def test_an_unreadable_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*absent.json: No such file"):
        functions.rendered("dev", tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"broken.json is not JSON: "):
        functions.rendered("dev", tmp_path / "broken.json")


@pytest.mark.parametrize("stage", STAGES)
def test_the_policy_files_are_what_the_table_says(stage: str) -> None:
    assert policies.stale(stage) == []
    named = {
        function: own["iam_policy_file"]
        for function, own in CONFIG["stages"][stage]["lambda_functions"].items()
    }
    assert named == {function: f"policy-{stage}-{function}.json" for function in policies.TABLE}
    assert CONFIG["autogen_policy"] is False


@pytest.mark.parametrize("stage", STAGES)
def test_policies_name_actions_and_resources(stage: str) -> None:
    for path, text in policies.files(stage):
        for statement in json.loads(text)["Statement"]:
            actions, resource = statement["Action"], statement["Resource"]
            assert all("*" not in action for action in actions), path
            if resource == "*":  # AWS offers nothing narrower for X-Ray
                assert all(action.startswith("xray:") for action in actions), path
                continue
            _, _, _, region, account, rest = resource.split(":", 5)
            assert (region, account) == ("*", "*")
            assert f"lifecycle-{stage}" in rest, path
            assert "*" not in rest.removesuffix(":*"), path  # a log group's streams


def test_the_archives_role_names_its_resources_too() -> None:
    policy = RESOURCES["ArchiveRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert all("*" not in action for action in actions)
        assert statement["Resource"] != "*"


def test_only_the_laptops_stage_is_open() -> None:
    for stage, own in CONFIG["stages"].items():
        opened = own["environment_variables"].get("LIFECYCLE_OPEN") == "yes"
        assert opened == (stage == "local")
        reports = "LIFECYCLE_PARTIAL_RESPONSES" in own["environment_variables"]
        assert reports == (stage == "local"), "chalice deploy must fall back to raising"
