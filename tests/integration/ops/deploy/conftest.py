"""A stage's data stack on the embedded endpoint, and an infra/stages.json of the test's own.

The endpoint's change sets refuse saved queries, made or not, and its CloudFormation knows no metric math.
"""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra import stages as stage_settings
from infra import template
from local import stack as local_stack
from ops.deploy import change_set
from tests.support.data_stack import Stages


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The template as the endpoint takes it: its change sets refuse saved queries, made or not."""
    before, _, rest = template.RESOURCES.read_text().partition("  # --- saved queries")
    known = tmp_path / "resources.yaml"
    known.write_text(f"{before}Outputs:{rest.partition('Outputs:')[2]}")
    monkeypatch.setattr(template, "RESOURCES", known)
    return known


@pytest.fixture
def stages(
    aws_of_ops: None, resources: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Stages]:
    path = tmp_path / "stages.json"
    monkeypatch.setattr(stage_settings, "STAGES", path)
    monkeypatch.setattr(change_set, "POLL_S", 0.02)
    yield Stages(path)
    local_stack.remove(boto3.client("cloudformation"), "dev")


@pytest.fixture
def aws_of_ops(aws: str) -> Iterator[None]:
    from ops import clients

    clients.reset()
    yield
    clients.reset()
