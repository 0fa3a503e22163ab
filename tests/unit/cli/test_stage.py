"""What a stage's environment is for somebody at a terminal."""

import json
import os
from pathlib import Path

import pytest

from chalicelib.errors import ConfigurationError
from cli import stage


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    stages = {
        "laptop": {
            "environment_variables": {
                "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
                "AWS_DEFAULT_REGION": "eu-west-1",
                "AWS_ACCESS_KEY_ID": "local",
            }
        },
        "prod": {"environment_variables": {"SHARED": "prod's own"}},
    }
    path.write_text(json.dumps({"environment_variables": {"SHARED": "everybody's"}, "stages": stages}))
    return path


def test_a_stages_variables_win_over_those_of_all_stages(config: Path) -> None:
    assert stage.environment("prod", config) == {"SHARED": "prod's own"}
    assert stage.environment("laptop", config)["SHARED"] == "everybody's"


def test_a_stage_that_is_not_configured_is_a_sentence(config: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"stage 'qa' is not in .* it has laptop, prod"):
        stage.environment("qa", config)


def test_nobodys_keys_or_region_go_to_an_endpoint_that_the_stage_brings(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-somebody")
    monkeypatch.setenv("AWS_PROFILE", "company")
    monkeypatch.setenv("NO_PROXY", "intranet")

    stage.fill("laptop", config)

    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "local"
    assert "AWS_PROFILE" not in os.environ
    assert os.environ["NO_PROXY"] == "intranet,127.0.0.1"


def test_an_endpoint_that_is_set_already_keeps_what_the_shell_says_about_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9999")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    stage.fill("laptop", config)

    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9999"
    assert os.environ["AWS_DEFAULT_REGION"] == "us-east-1"


def test_a_stage_on_aws_leaves_the_shells_credentials_alone(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "company")

    stage.fill("prod", config)

    assert os.environ["AWS_PROFILE"] == "company"
