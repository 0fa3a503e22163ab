"""The operators' command line, run in this process on a test's own stage."""

import json
import os
from typing import Any, NamedTuple

import pytest

from ops import clients
from ops.__main__ import main
from tests.support import names


class Ran(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        """The lines of JSON on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


class Operator:
    """Runs `python -m ops …`.

    `--stage` and LIFECYCLE_STAGE take the stages of .chalice/config.json, which a test's is not: so the names
    of this test's stream, tables and queues are set one by one, as the settings allow.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        os.environ.update(names.as_local())
        clients.reset()

    def __call__(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        code = main(arguments)
        captured = self._capsys.readouterr()
        return Ran(code, captured.out, captured.err)
