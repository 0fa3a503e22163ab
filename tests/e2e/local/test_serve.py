"""`python -m local serve` as a person runs it: kept state, Ctrl-C, and what happens after `kill -9`."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cli.paths import ROOT
from local.emulator import process
from producer.lives import lives
from tests.support.headings import says
from tests.support.positions import by_product
from tests.support.processes import alive, command_lines
from tests.support.serve_process import Served
from tests.support.waiting import PATIENCE_S, eventually

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)

Serve = Callable[[], "Serving"]


class Serving(Served):
    """A `serve` that is ready, and what this test does with it."""

    def send(self, count: int, seed: int) -> None:
        sent = subprocess.run(
            [
                *(sys.executable, "-m", "producer", "send", "--events", str(count)),
                *("--seed", str(seed), "--now", NOW.isoformat()),
            ],
            cwd=ROOT,
            env={**os.environ, "AWS_ENDPOINT_URL": self.endpoint, "LIFECYCLE_STAGE": "local"},
            capture_output=True,
            text=True,
        )
        assert sent.returncode == 0, sent.stderr

    def has_all(self, count: int, seed: int) -> bool:
        """Whether the API gives every event of `send` with the same arguments."""
        wanted = by_product(lives(count, count // 10, seed, NOW))
        return all(self.positions(serial) == positions for serial, positions in wanted.items())

    def positions(self, serial: str) -> set[str]:
        status, body = get(f"{self.api}/products/{serial}/events?limit=1000")
        return {event["position"] for event in body["events"]} if status == 200 else set()

    def end(self, number: int) -> tuple[int, str]:
        """Its exit code after a signal, and what it had said on standard error."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said


def get(url: str) -> tuple[int, Any]:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=PATIENCE_S)
    try:
        connection.request("GET", f"/{path}")
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def serve(home: Path) -> Iterator[Serve]:
    """Starts `serve` in the same directory each time; everything it started is ended afterwards."""
    started: list[Serving] = []

    def start() -> Serving:
        started.append(Serving(home))
        return started[-1]

    yield start
    for serving in started:
        serving.process.kill()
        serving.process.communicate()
    left = process.recorded(home / "endpoint.json")
    if left is not None:
        left.stop()


def test_ctrl_c_ends_everything_it_started_and_state_survives(serve: Serve, home: Path) -> None:
    first = serve()
    first.send(200, seed=1)
    assert eventually(lambda: first.has_all(200, seed=1))
    processes = command_lines(first.process.pid)
    assert len(processes) > 3  # the API, the endpoint, at least one sandbox

    code, said = first.end(signal.SIGINT)

    assert code == 0
    assert "Traceback" not in said
    assert alive(processes) == {}

    second = serve()
    assert second.has_all(200, seed=1)
    second.send(200, seed=2)  # what comes after the restart is read from where the first run stopped
    assert eventually(lambda: second.has_all(200, seed=2))
    code, said = second.end(signal.SIGTERM)
    assert (code, "Traceback" in said) == (0, False)


def test_after_kill_9_of_everything_but_the_endpoint_nothing_is_missing(serve: Serve, home: Path) -> None:
    first = serve()
    first.send(3000, seed=3)

    # In the middle of it: our processes, one after the other, as an out-of-memory killer would.
    running = process.recorded(home / "endpoint.json")
    assert running is not None
    assert running.pid is not None
    ours = command_lines(first.process.pid)
    del ours[running.pid]
    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    first.process.communicate()
    assert eventually(lambda: alive(ours) == {})
    assert process.answers(first.endpoint)

    second = serve()

    assert second.endpoint == first.endpoint
    assert eventually(lambda: second.has_all(3000, seed=3))
    second.end(signal.SIGINT)
    assert not process.answers(first.endpoint)


@pytest.mark.parametrize("is_adopted", [False, True], ids=["its own", "adopted"])
def test_when_the_endpoint_dies_serve_says_what_is_lost_and_ends(
    serve: Serve, home: Path, is_adopted: bool
) -> None:
    first = serve()
    if is_adopted:
        first.process.kill()
        first.process.communicate()
        first = serve()
    running = process.recorded(home / "endpoint.json")
    assert running is not None
    assert running.pid is not None
    processes = command_lines(first.process.pid)
    os.kill(running.pid, signal.SIGKILL)

    _, said = first.process.communicate(timeout=PATIENCE_S)

    assert first.process.returncode == 3
    assert said.splitlines()[-1] == (
        f"error: the AWS endpoint at {first.endpoint} is gone; what was put since its last orderly stop is "
        "lost where its state was not saved; start it again with `make serve`"
    )
    assert says("the AWS endpoint at … is gone", said)
    assert "Traceback" not in said
    assert "saving the state" not in said
    assert eventually(lambda: alive(processes) == {})


@pytest.mark.parametrize("command", ["serve", "reset"])
def test_where_nothing_answers_at_the_address_given_the_remedy_is_named(home: Path, command: str) -> None:
    url = f"http://127.0.0.1:{process.free_port()}"
    ports = ["--port", "0", "--endpoint-port", "0"] if command == "serve" else []

    ran = subprocess.run(
        [sys.executable, "-m", "local", command, *ports, "--home", str(home)],
        cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr == (
        f"error: no AWS endpoint answers at {url}, where AWS_ENDPOINT_URL says it is; start that one, or "
        "unset the variable to have one started here\n"
    )
    assert says("no AWS endpoint answers", ran.stderr)


def test_two_at_once_and_reset_while_one_runs_are_refused_in_a_sentence(serve: Serve, home: Path) -> None:
    serve()

    for command in (["serve", "--port", "0", "--endpoint-port", "0"], ["reset"]):
        second = subprocess.run(
            [sys.executable, "-m", "local", *command, "--home", str(home)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

        assert second.returncode == 3
        assert second.stderr == (
            f"error: a pipeline is running from {home}; stop it first (Ctrl-C where it runs)\n"
        )
        assert says("a pipeline is running", second.stderr)


def test_reset_forgets_what_was_stored(serve: Serve, home: Path) -> None:
    first = serve()
    first.send(20, seed=4)
    assert eventually(lambda: first.has_all(20, seed=4))
    first.end(signal.SIGINT)

    reset = subprocess.run(
        [sys.executable, "-m", "local", "reset", "--home", str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (reset.returncode, reset.stdout) == (0, "")
    assert f"removed {home / 'state'}" in reset.stderr
    one, *_ = by_product(lives(20, 2, 4, NOW))
    assert serve().positions(one) == set()
