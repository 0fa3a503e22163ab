"""Ctrl-C while a command line is still being imported, at a moment that is the same every time."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.exits import EXIT_INTERRUPTED, EXIT_OK
from cli.paths import ROOT
from tests.support.waiting import PATIENCE_S

#: A real process presses Ctrl-C on itself when it is about to import the module in its first argument.
#: Python runs a sitecustomize before anything else.
PRESSES = """
import os, signal, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["PRESS_AT"]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
"""

COMMANDS = {
    "producer": ["send", "--events", "3", "--dry-run"],
    "ops": ["plan"],
    "local": ["serve", "--port", "0", "--endpoint-port", "0"],
    "benchmarks": ["--quick", "ingest"],
}

#: The first and the last thing that each imports before its `main`, and what `main` imports.
MOMENTS = [
    ("producer", "argparse"),
    ("producer", "chalicelib.domain.events"),
    ("producer", "producer.send"),
    ("producer", "botocore"),
    ("ops", "argparse"),
    ("ops", "ops.output"),
    ("ops", "ops.planning.plan"),
    ("ops", "cli.stage"),
    ("local", "argparse"),
    ("local", "chalicelib.errors"),
    ("local", "botocore"),
    ("local", "local.commands.serve"),
    ("benchmarks", "argparse"),
    ("benchmarks", "benchmarks.harness.report"),
]


def pressed(package: str, module: str, tmp_path: Path, shell: str = 'exec "$@"') -> tuple[int, str, str]:
    """Exit code and output of the package's command when Ctrl-C is pressed as it imports the module."""
    (tmp_path / "sitecustomize.py").write_text(PRESSES)
    arguments = COMMANDS[package]
    if package == "local":
        arguments = [*arguments, "--home", str(tmp_path / "home")]
    ran = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-m", package, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path), "PRESS_AT": module},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        # Python takes over an ignored Ctrl-C, as a test run in the background has it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize(("package", "module"), MOMENTS)
def test_an_early_ctrl_c_ends_a_command_without_a_word(package: str, module: str, tmp_path: Path) -> None:
    assert pressed(package, module, tmp_path) == (EXIT_INTERRUPTED, "", "")


def test_where_ctrl_c_is_ignored_an_early_one_is_too(tmp_path: Path) -> None:
    code, answer, _ = pressed("producer", "chalicelib.domain.events", tmp_path, """trap "" INT; exec "$@" """)

    assert (code, len(answer.splitlines())) == (EXIT_OK, 3)
