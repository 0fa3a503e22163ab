"""What the environment says."""

import pytest

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from tests.support.headings import says


def test_every_name_follows_from_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_STAGE", "dev")

    assert settings.stream_name() == "lifecycle-dev-events"
    assert settings.history_table() == "lifecycle-dev-history"
    assert settings.quarantine_table() == "lifecycle-dev-quarantine"
    assert settings.dead_letter_queue() == "lifecycle-dev-dead-letters"
    assert settings.parking_queue() == "lifecycle-dev-parking"


def test_each_name_can_be_set_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_HISTORY_TABLE", "elsewhere")

    assert settings.history_table() == "elsewhere"


@pytest.mark.parametrize("name", ["Prod", "1st", "a_b", "x" * 32, "-"])
def test_an_unusable_stage_names_itself(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LIFECYCLE_STAGE", name)

    with pytest.raises(ConfigurationError, match=f"LIFECYCLE_STAGE: .* got '{name}'"):
        settings.stage()


@pytest.mark.parametrize(("value", "listens"), [("on", True), ("off", False), ("", False)])
def test_a_mapping_listens_only_when_somebody_said_so(
    monkeypatch: pytest.MonkeyPatch, value: str, listens: bool
) -> None:
    monkeypatch.setenv("LIFECYCLE_PARTIAL_RESPONSES", value)

    assert settings.partial_responses() is listens


def test_a_setting_that_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_PARTIAL_RESPONSES", "true")

    with pytest.raises(ConfigurationError, match="expected on or off, got 'true'") as refused:
        settings.partial_responses()

    assert says("LIFECYCLE_PARTIAL_RESPONSES", str(refused.value))
