"""`serve` on a terminal: what a person sees while events go through it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.paths import ROOT
from local.emulator import process as endpoints
from tests.support.waiting import PATIENCE_S


class Terminal:
    """A terminal of our own with `serve` in it."""

    def __init__(self, home: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "local", "serve", "--home", str(home)),
                *("--port", "0", "--endpoint-port", "0"),
            ],
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, pattern: str, timeout_s: float = PATIENCE_S) -> str:
        """What the pattern's group matched, once it is on the screen."""
        deadline = time.monotonic() + timeout_s
        while (found := re.findall(pattern, self.seen)) == []:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"{pattern} is not in {self.seen[-4000:]}"
            if select.select([self._ours], [], [], left_s)[0]:
                try:
                    data = os.read(self._ours, 65536)
                except OSError:  # the other end is closed
                    data = b""
                assert data, f"{pattern} is not in {self.seen[-4000:]}"
                self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))
        return str(found[-1])

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=PATIENCE_S)
        os.close(self._ours)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    running = Terminal(tmp_path / "home")
    yield running
    running.close()


def test_events_a_poison_record_and_a_lookup_show_on_the_dashboard(terminal: Terminal) -> None:
    api = terminal.until(r"API +(http://[0-9.:]+)/")
    endpoint = terminal.until(r"endpoint +(http://[0-9.:]+)")
    terminal.until("iterator age")

    sent = subprocess.run(
        [*(sys.executable, "-m", "producer", "send", "--events", "50", "--poison", "1")],
        cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": endpoint, "LIFECYCLE_STAGE": "local"},
        capture_output=True,
        text=True,
    )
    assert sent.returncode == 0, sent.stderr
    terminal.until(r"in +(51) +[0-9,]+/s")
    terminal.until(r"stored +(50) +[0-9,]+/s")
    with urllib.request.urlopen(f"{api}/products/{sent.stderr.split()[-1]}", timeout=PATIENCE_S) as answer:
        assert answer.status == 200
    terminal.until(r"quarantine +1 +open, (1) since the start")
    terminal.until(r"API +(1) +[0-9.]+/s")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("stopped")
    assert terminal.process.wait(timeout=PATIENCE_S) == 0
    assert "Traceback" not in terminal.seen


def test_when_the_endpoint_dies_the_dashboard_ends_with_what_is_lost(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.until("iterator age")
    running = endpoints.recorded(tmp_path / "home" / "endpoint.json")
    assert running is not None
    assert running.pid is not None

    os.kill(running.pid, signal.SIGKILL)

    terminal.until(r"error: the AWS endpoint at (http://[0-9.:]+) is gone; what was put since")
    assert terminal.process.wait(timeout=PATIENCE_S) == 3
    assert "Traceback" not in terminal.seen
