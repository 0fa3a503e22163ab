"""docs/planning.md: its commands run as they stand."""

import os
import re
import shlex
from pathlib import Path

import pytest

from cli.exits import EXIT_FAILED, EXIT_OK
from cli.paths import ROOT
from ops.__main__ import main

COMMANDS = re.findall(r"^ +python -m ops (.+)$", (ROOT / "docs" / "planning.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ops").symlink_to(ROOT / "ops")  # `--prices` names a file by its place in the project
    monkeypatch.chdir(tmp_path)

    assert main(shlex.split(command)) in (EXIT_OK, EXIT_FAILED)  # one of them is too slow, and says so

    assert os.path.exists("run.svg") == ("--svg run.svg" in command)
