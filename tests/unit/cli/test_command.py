"""How a command ends, whatever its threads are doing."""

import subprocess
import sys

from cli.paths import ROOT
from tests.support.waiting import PATIENCE_S

STUCK = """
import sys, threading, types
from concurrent.futures import ThreadPoolExecutor
from cli.command import run_and_exit

def main():
    ThreadPoolExecutor(1).submit(threading.Event().wait)
    print("what it says")
    return 3

sys.modules |= {"stuck": types.ModuleType("stuck"), "stuck.__main__": types.SimpleNamespace(main=main)}
run_and_exit("stuck")
"""


def test_a_thread_whose_answer_never_comes_does_not_keep_a_command_from_ending() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", STUCK], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "what it says\n", "")
