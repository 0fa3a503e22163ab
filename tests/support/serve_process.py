"""`python -m local serve` as a child process, on free ports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.paths import ROOT


class Served:
    """A `serve` that is ready."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "local", "serve", "--json"),
                *("--port", "0", "--endpoint-port", "0", "--home", str(home)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        if not ready:
            pytest.fail(f"serve did not start: {self.process.communicate()}")
        said = json.loads(ready)
        self.api, self.endpoint = said["api"], said["endpoint"]
