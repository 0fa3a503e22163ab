"""The examples at the end of `python -m local --help`, each run as it stands.

Only numbers differ: of events there are 2,000 at most, and ports are free ones.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.exits import EXIT_OK
from cli.paths import ROOT
from local.__main__ import EXAMPLES
from tests.support.waiting import PATIENCE_S

COMMANDS = [line.strip() for line in EXAMPLES.splitlines() if line.strip().startswith("python -m local")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory, with a file of somebody else's in it."""
    sent = subprocess.run(
        [sys.executable, "-m", "producer", "send", "--events", "50", "--seed", "1", "--dry-run"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    foreign = sent.stdout.replace('"serial":', '"sn":').replace('"occurred_at":', '"timestamp":')
    (tmp_path / "recorded.ndjson").write_text(foreign)
    return tmp_path


def start(command: str, home: Path) -> "subprocess.Popen[str]":
    """An example in a shell of somebody whose home this is."""
    command = re.sub(r"--events \d+", "--events 2000", command)
    command = re.sub(r"port \d+", "port 0", command)
    if " serve" in command and "port 0" not in command:
        command += " --port 0 --endpoint-port 0"
    environment = {name: value for name, value in os.environ.items() if name != "XDG_STATE_HOME"}
    return subprocess.Popen(
        ["/bin/sh", "-c", "exec " + command.replace("python", shlex.quote(sys.executable), 1)],
        cwd=home,
        env={**environment, "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("command", [each for each in COMMANDS if " demo" in each])
def test_an_example_that_runs_by_itself_finds_everything(command: str, home: Path) -> None:
    out, err = start(command, home).communicate(timeout=PATIENCE_S)

    if "--json" in command:
        assert json.loads(out.splitlines()[-1])["missing"] == 0, err
    else:
        assert re.search(r"\bmissing +0\b", out), f"{out}{err}"


def test_an_example_that_serves_does_so_until_ctrl_c_and_reset_forgets_it(home: Path) -> None:
    serves = [each for each in COMMANDS if " serve" in each]
    resets = [each for each in COMMANDS if " reset" in each]
    assert len(serves) + len(resets) + len([each for each in COMMANDS if " demo" in each]) == len(COMMANDS)

    for command in serves:
        serving = start(command, home)
        assert serving.stdout is not None
        assert any("stop with Ctrl-C" in line for line in serving.stdout)
        serving.send_signal(signal.SIGINT)
        _, err = serving.communicate(timeout=PATIENCE_S)
        assert serving.returncode == EXIT_OK, err
    for command in resets:
        resetting = start(command, home)
        out, err = resetting.communicate(timeout=PATIENCE_S)
        assert resetting.returncode == EXIT_OK, err
        assert str(home) in out + err
