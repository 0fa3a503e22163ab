"""The API on a free port, as a child process: what a real HTTP client or a browser talks to.

A child, because Chalice's local server can be made once in a process only.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cli import stage
from cli.paths import ROOT
from tests.support.waiting import PATIENCE_S


@contextmanager
def api(log: Path, overrides: Mapping[str, str] | None = None) -> Iterator[str]:
    """The URL of the API over the stage of this process's environment, until the block ends."""
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "local.api_server", "--port", "0"],
            cwd=ROOT,
            env=stage.child_environment(overrides or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            url = child.stdout.readline().strip()
            assert url.startswith("http://"), log.read_text()
            yield url
        finally:
            child.stdin.close()  # the server ends with it
            child.wait(timeout=PATIENCE_S)
            child.stdout.close()
