"""What really ships, and somewhere to ship it to.

project     a copy of what Chalice packages, its stage `dev` with a token; the zip is built once and kept
token       the token that this copy's stage takes
cloud       an endpoint of this test's own that enforces IAM: a function may do what its policy says
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from chalicelib import auth, wiring
from local import endpoint, stack

ROOT = Path(__file__).resolve().parents[2]

#: The copy and the endpoint are ours alone, so the stage can be the one that people deploy.
STAGE = "dev"


@pytest.fixture(scope="session")
def _shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    copy = tmp_path_factory.mktemp("shipped")
    for name in ("app.py", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    for name in ("chalicelib", "infra"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / ".chalice").mkdir()
    for path in (ROOT / ".chalice").glob("*.json"):
        shutil.copy(path, copy / ".chalice")
    token, entry = auth.create("e2e")
    path = copy / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["stages"][STAGE]["environment_variables"]["LIFECYCLE_TOKENS"] = entry
    path.write_text(json.dumps(config))
    return copy, token


@pytest.fixture
def project(_shipped: tuple[Path, str]) -> Path:
    """The project as it ships.  Shared by tests, so that requirements are fetched once."""
    return _shipped[0]


@pytest.fixture
def token(_shipped: tuple[Path, str]) -> str:
    """The token that the project's stage takes."""
    return _shipped[1]


@pytest.fixture
def cloud(_isolated: None, tmp_path: Path) -> Iterator[str]:
    """An endpoint that enforces IAM, with the data stack of the stage on it."""
    os.environ["AUTH"] = "true"
    running = endpoint.start(log_path=tmp_path / "endpoint.log")
    try:
        os.environ.update(AWS_ENDPOINT_URL=running.url, LIFECYCLE_STAGE=STAGE)
        wiring.reset()
        stack.ensure(boto3.client("cloudformation"), STAGE)
        yield running.url
    finally:
        running.stop()
