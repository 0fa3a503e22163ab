"""Handlers in worker processes: what they are given, and how they end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cli.paths import ROOT
from local.sandbox.outcome import Ending, Outcome
from local.sandbox.pool import SandboxPool
from tests.support.waiting import PATIENCE_S, eventually

Pools = Callable[..., SandboxPool]


@pytest.fixture
def pool_of(tmp_path: Path) -> Iterator[Pools]:
    """Makes a pool for one of `tests/support/handlers.py`."""
    pools = []

    def make(handler: str, *, timeout_s: float = 20.0, **environment: str) -> SandboxPool:
        pool = SandboxPool(
            handler=f"tests.support.handlers.{handler}",
            environment={"AWS_DEFAULT_REGION": "eu-west-1", **environment},
            timeout_s=timeout_s,
            memory_mb=256,
            log_path=tmp_path / "log",
        )
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


def error_of(outcome: Outcome) -> dict[str, Any]:
    """The function error that was answered."""
    assert outcome.ending is not Ending.OK
    error: dict[str, Any] = json.loads(outcome.payload)
    return error


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A process that ended and has not been waited for by whoever adopted it is gone all the same.
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_what_a_handler_returns_comes_back_as_json(pool_of: Pools) -> None:
    outcome = pool_of("echo").invoke('{"é": [1, 2.5, null]}'.encode())

    assert outcome.ending is Ending.OK
    assert outcome.function_error is None
    assert json.loads(outcome.payload) == {"é": [1, 2.5, None]}


def test_an_event_larger_than_any_pipe_arrives_whole(pool_of: Pools) -> None:
    event = json.dumps({"Records": ["x" * 6_000_000]}).encode()

    assert json.loads(pool_of("echo").invoke(event).payload) == json.loads(event)


def test_a_handler_has_the_context_and_the_environment_of_a_lambda_function(
    pool_of: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMETHING_OF_THE_DEVELOPER", "1")

    outcome = pool_of("describe", timeout_s=30.0, MINE="yes").invoke(b"{}")
    seen = json.loads(outcome.payload)

    assert 25_000 < seen["remaining_ms"] <= 30_000
    assert seen["request_id"] == outcome.request_id
    assert seen["function_name"] == "describe"
    assert seen["memory_mb"] == "256"
    assert seen["arn"] == "arn:aws:lambda:eu-west-1:000000000000:function:describe"
    assert seen["version"] == "$LATEST"
    assert seen["log_group"] == "/aws/lambda/describe"
    assert seen["environment"]["MINE"] == "yes"
    assert seen["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == "describe"
    assert seen["environment"]["AWS_LAMBDA_LOG_STREAM_NAME"] == seen["log_stream"]
    assert "SOMETHING_OF_THE_DEVELOPER" not in seen["environment"]


def test_what_a_handler_prints_is_in_the_log(pool_of: Pools, tmp_path: Path) -> None:
    assert pool_of("describe").invoke(b"{}").ending is Ending.OK

    assert "a line for the log" in (tmp_path / "log").read_text()


def test_a_raised_exception_is_an_unhandled_function_error_with_its_trace(
    pool_of: Pools, tmp_path: Path
) -> None:
    pool = pool_of("fail")

    outcome = pool.invoke(b"{}")
    again = pool.invoke(b"{}")

    error = error_of(outcome)
    assert outcome.ending is Ending.ERROR
    assert outcome.function_error == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no such dealer")
    assert error["requestId"] == outcome.request_id
    (frame,) = error["stackTrace"]
    assert "tests/support/handlers.py" in frame
    assert "in fail" in frame
    assert "no such dealer" in (tmp_path / "log").read_text()
    assert again.ending is Ending.ERROR
    assert len(pool.pids()) == 1  # an exception does not cost the process


def test_a_timeout_kills_the_process_and_the_next_invocation_gets_a_new_one(pool_of: Pools) -> None:
    pool = pool_of("sleep", timeout_s=3.0)
    first = int(pool.invoke(b'{"seconds": 0}').payload)

    outcome = pool.invoke(b'{"seconds": 600}')
    after = int(pool.invoke(b'{"seconds": 0}').payload)

    assert outcome.ending is Ending.TIMEOUT
    assert outcome.function_error == "Unhandled"
    assert error_of(outcome)["errorType"] == "Sandbox.Timedout"
    assert error_of(outcome)["errorMessage"].endswith("Task timed out after 3.00 seconds")
    assert not is_running(first)
    assert after != first


def test_a_timeout_also_ends_what_the_handler_has_started(pool_of: Pools, tmp_path: Path) -> None:
    note = tmp_path / "pid"

    outcome = pool_of("with_child", timeout_s=4.0).invoke(json.dumps({"path": str(note)}).encode())

    assert outcome.ending is Ending.TIMEOUT
    assert eventually(lambda: not is_running(int(note.read_text())))


@pytest.mark.parametrize(
    ("status", "words"),
    [(3, "Runtime exited with error: exit status 3"), (0, "Runtime exited without providing a reason")],
)
def test_a_handler_that_leaves_is_a_failed_invocation(pool_of: Pools, status: int, words: str) -> None:
    outcome = pool_of("leave").invoke(json.dumps({"status": status}).encode())

    assert outcome.ending is Ending.CRASH
    assert outcome.function_error == "Unhandled"
    assert error_of(outcome)["errorType"] == "Runtime.ExitError"
    assert error_of(outcome)["errorMessage"].endswith(words)


def test_a_worker_killed_in_the_middle_is_a_failed_invocation_and_is_replaced(
    pool_of: Pools, tmp_path: Path
) -> None:
    pool, begun = pool_of("sleep"), tmp_path / "begun"
    pid = int(pool.invoke(b'{"seconds": 0}').payload)

    with ThreadPoolExecutor(1) as thread:
        event = json.dumps({"path": str(begun), "seconds": 600}).encode()
        doomed = thread.submit(pool.invoke, event)
        assert eventually(begun.exists)
        os.kill(pid, signal.SIGKILL)
        outcome = doomed.result(PATIENCE_S)

    assert outcome.ending is Ending.CRASH
    assert error_of(outcome)["errorMessage"].endswith("signal: killed")
    assert int(pool.invoke(b'{"seconds": 0}').payload) != pid


def test_a_worker_killed_while_idle_costs_no_invocation(pool_of: Pools) -> None:
    pool = pool_of("sleep")
    pid = int(pool.invoke(b'{"seconds": 0}').payload)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    outcome = pool.invoke(b'{"seconds": 0}')

    assert outcome.ending is Ending.OK
    assert int(outcome.payload) != pid


def test_invocations_at_the_same_time_run_in_processes_of_their_own(pool_of: Pools) -> None:
    pool = pool_of("sleep")

    with ThreadPoolExecutor(3) as threads:
        outcomes = threads.map(pool.invoke, [b'{"seconds": 0.7}'] * 3, timeout=PATIENCE_S)
        pids = {int(each.payload) for each in outcomes}
    free = int(pool.invoke(b'{"seconds": 0}').payload)

    assert len(pids) == 3
    assert free in pids


@pytest.mark.parametrize(
    ("handler", "event", "error_type"),
    [
        ("unspeakable", "{}", "Runtime.MarshalError"),
        ("large", '{"characters": 6291555}', "Function.ResponseSizeTooLarge"),  # two quotes more
        ("no_such_function", "{}", "Runtime.HandlerNotFound"),
    ],
)
def test_what_lambda_refuses_is_a_function_error(
    pool_of: Pools, handler: str, event: str, error_type: str
) -> None:
    outcome = pool_of(handler).invoke(event.encode())

    assert outcome.ending is Ending.ERROR
    assert error_of(outcome)["errorType"] == error_type


def test_the_largest_answer_lambda_takes_comes_back(pool_of: Pools) -> None:
    outcome = pool_of("large").invoke(b'{"characters": 6291554}')

    assert outcome.ending is Ending.OK
    assert len(outcome.payload) == 6_291_556


def test_a_module_that_cannot_be_imported_is_a_function_error(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere\n")
    (tmp_path / "local").symlink_to(ROOT / "local")
    (tmp_path / "chalicelib").symlink_to(ROOT / "chalicelib")
    (tmp_path / "cli").symlink_to(ROOT / "cli")

    pool = SandboxPool(
        handler="broken.handler", environment={}, timeout_s=5, log_path=tmp_path / "log", code=tmp_path
    )
    with contextlib.closing(pool):
        outcome = pool.invoke(b"{}")

    assert outcome.ending is Ending.ERROR
    assert error_of(outcome)["errorType"] == "Runtime.ImportModuleError"
    assert "no_such_module_anywhere" in error_of(outcome)["errorMessage"]


def test_closing_ends_every_process_and_fails_what_is_under_way(pool_of: Pools) -> None:
    pool = pool_of("sleep")

    with ThreadPoolExecutor(1) as thread:
        under_way = thread.submit(pool.invoke, b'{"seconds": 600}')
        assert eventually(lambda: len(pool.pids()) == 1)
        pids = pool.pids()
        pool.close()
        outcome = under_way.result(PATIENCE_S)

    assert outcome.ending is Ending.CRASH
    assert not any(map(is_running, pids))
    assert pool.invoke(b"{}").ending is Ending.UNDELIVERED


def test_a_worker_dies_with_whoever_started_it_even_during_an_invocation(tmp_path: Path) -> None:
    code = (
        "import sys, threading, time\n"
        "from pathlib import Path\n"
        "from local.sandbox.pool import SandboxPool\n"
        "pool = SandboxPool(handler='tests.support.handlers.sleep', environment={}, timeout_s=900,"
        f" log_path=Path({str(tmp_path / 'log')!r}))\n"
        "print(pool.invoke(b'{\"seconds\": 0}').payload.decode(), flush=True)\n"
        "pool.invoke(b'{\"seconds\": 600}')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.kill()

    assert eventually(lambda: not is_running(worker))
