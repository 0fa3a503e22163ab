"""`infra/stages.json`, read: parameters of the template, and the bucket for a large one."""

import json
from pathlib import Path

import pytest

from chalicelib.errors import ConfigurationError
from infra import stages


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stages.json"


def test_the_real_stages_fit_the_template() -> None:
    for stage in json.loads(stages.STAGES.read_text()):
        assert stages.read(stage).parameters["Stage"] == stage


def test_a_setting_for_this_time_only_wins_over_the_file(path: Path) -> None:
    path.write_text('{"dev": {"ShardCount": 3, "Data": "disposable", "TemplateBucket": "ours"}}')

    stage = stages.read("dev", {"ShardCount": "7", "TemplateBucket": "other"}, path)

    assert stage.parameters == {
        "AppName": "lifecycle",
        "Stage": "dev",
        "ShardCount": "7",
        "Data": "disposable",
    }
    assert stage.template_bucket == "other"
    assert stages.read("dev", path=path).template_bucket == "ours"


@pytest.mark.parametrize(
    ("written", "this_time", "sentence"),
    [
        ('{"dev": {"ShardsCount": 3}}', {}, r"stages.json, dev: no such parameter ShardsCount; there are"),
        ('{"dev": {}}', {"Wathcing": "off"}, "no such parameter Wathcing"),
        ('{"prod": {}}', {}, r"stage 'dev' is not in infra/stages.json; it has prod: name one with --stage"),
        ("[]", {}, r"infra/stages.json is no list of stages: Expected `object`, got `array`"),
        ('{"dev": {"Data": ["kept"]}}', {}, r"stages.json is no list of stages: .* at `\$\[...\]\[...\]`"),
        ("", {}, "stages.json is no list of stages"),
    ],
)
def test_what_is_no_stage_of_the_template_is_named(
    path: Path, written: str, this_time: dict[str, str], sentence: str
) -> None:
    path.write_text(written)

    with pytest.raises(ConfigurationError, match=sentence):
        stages.read("dev", this_time, path)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"infra/stages.json: No such file"):
        stages.read("dev", path=path)
