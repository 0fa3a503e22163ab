"""What every command line does when its answer has nowhere to go, as a shell would find it."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.paths import ROOT
from tests.support.waiting import PATIENCE_S

COMMANDS = {
    "producer": ["producer", "send", "--events", "3", "--dry-run"],
    "ops": ["ops", "plan", "--json"],
    "local": ["local", "--help"],
    "benchmarks": ["benchmarks", "--help"],
}


def shell(command: list[str], redirection: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize("package", COMMANDS)
def test_with_its_output_closed_a_command_does_nothing_and_says_so(package: str) -> None:
    ran = shell(COMMANDS[package], ">&-")

    assert ran.returncode == EXIT_USAGE
    assert ran.stderr == (
        "error: standard output is closed; let it go somewhere, to /dev/null if nobody reads it\n"
    )


@pytest.mark.parametrize("package", COMMANDS)
def test_the_help_says_what_a_closed_output_exits_with(package: str) -> None:
    ran = shell([package, "--help"], "")

    assert ran.returncode == EXIT_OK
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith(f"  {EXIT_USAGE}  ")]
    assert "standard output is closed" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", [COMMANDS["producer"], COMMANDS["ops"], ["ops", "plan"]])
def test_an_answer_that_cannot_be_written_is_one_line_and_no_success(command: list[str]) -> None:
    ran = shell(command, ">/dev/full")

    assert (ran.returncode, ran.stderr) == (EXIT_FAILED, "error: output: No space left on device\n")
