"""Worker processes that handlers run in, as on Lambda: a time-out kills one, a crash fails its invocation.

A free worker is used again, otherwise a new one is started, so concurrency is real.  `memory_mb` is what the
context tells the handler; it is not enforced.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from cli.paths import ROOT
from local import arns
from local.sandbox import protocol
from local.sandbox.outcome import Ending, Outcome

#: How long loading a function may take.  Lambda allows 10 s; a busy laptop is slower than that.
INIT_TIMEOUT_S = 60.0

#: Seconds in which a worker has to exit once its connection is closed.
_LEAVE_S = 2.0

#: What a worker inherits so that its interpreter starts; everything else is the function's environment.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "LANG", "SYSTEMROOT")


class SandboxPool:
    """The workers of one function.  `invoke` may be called from many threads at once."""

    def __init__(
        self,
        *,
        handler: str,
        environment: Mapping[str, str],
        timeout_s: float,
        memory_mb: int = 128,
        log_path: Path,
        code: Path = ROOT,
    ) -> None:
        """`handler` is `module.attribute`, found from `code`; `environment` is the function's."""
        self._handler = handler
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._code = code
        self.function = handler.rpartition(".")[2]
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        self._arn = arns.function(self.function, region)
        self._environment = {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            # What Lambda sets for every function.
            "AWS_REGION": region,
            "AWS_LAMBDA_FUNCTION_NAME": self.function,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.function}",
            "_HANDLER": handler,
            "TZ": ":UTC",
            "PYTHONIOENCODING": "utf-8",
            **environment,
        }
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = log_path.open("ab")
        self._lock = threading.Lock()
        self._free: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._is_closed = False

    def invoke(self, event: bytes) -> Outcome:
        """Run the handler on an event (JSON) and return the outcome, after `timeout_s` and a start at most.

        Never raises for what a function does; a pool that is closed or cannot start a process answers
        `undelivered`.
        """
        request_id = str(uuid.uuid4())
        try:
            worker = self._take()
        except OSError as exc:
            message = f"no worker process: {exc}"
            return Outcome.failed(Ending.UNDELIVERED, "ServiceException", message, request_id)
        header = protocol.RequestHeader(
            request_id, self._timeout_s, self.function, self._arn, self._memory_mb, worker.log_stream
        )
        outcome = worker.invoke(header, event)
        self._give_back(worker)
        return outcome

    def pids(self) -> list[int]:
        """Return the process ids of the workers."""
        with self._lock:
            return [worker.pid for worker in self._all]

    def close(self) -> None:
        """End every worker, even in the middle of an invocation."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            workers = list(self._all)
            self._all.clear()
            self._free.clear()
        for worker in workers:
            worker.hang_up()
        for worker in workers:
            worker.end()
        self._log.close()

    def _take(self) -> "_Worker":
        with self._lock:
            while self._free:
                worker = self._free.pop()
                if worker.is_alive:
                    return worker
                self._all.discard(worker)  # killed while it was idle: no invocation saw it
                worker.end()
            if self._is_closed:
                raise OSError("the pool is closed")
        # Outside the lock: starting takes a while, and others may have a free worker to take.
        worker = _Worker(self._handler, self._environment, self._code, self._log)
        with self._lock:
            if not self._is_closed:
                self._all.add(worker)
                return worker
        worker.end()
        raise OSError("the pool is closed")

    def _give_back(self, worker: "_Worker") -> None:
        with self._lock:
            if worker.is_usable and not self._is_closed:
                self._free.append(worker)
                return
            self._all.discard(worker)
        worker.end()


class _Worker:
    """One worker process, and our end of the connection to it."""

    def __init__(self, handler: str, environment: Mapping[str, str], code: Path, log: BinaryIO) -> None:
        self.log_stream = f"[$LATEST]{uuid.uuid4().hex}"
        self.is_usable = True
        self._is_ready = False
        self._end = threading.Lock()
        self._connection, theirs = socket.socketpair()
        try:
            with theirs:
                # A session of its own: Ctrl-C in the terminal reaches us first, and ending the group ends
                # what the handler has started too.
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "local.sandbox.worker", handler, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env={**environment, "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream},
                    cwd=code,
                )
        except OSError:
            self._connection.close()
            raise
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not exited."""
        return self._process.poll() is None

    def invoke(self, header: protocol.RequestHeader, event: bytes) -> Outcome:
        """Run one invocation; the first one includes loading the function."""
        request_id = header.request_id
        try:
            if not self._is_ready:
                answer, payload = self._receive(time.monotonic() + INIT_TIMEOUT_S)
                if answer.is_error:
                    self.is_usable = False  # Lambda starts the function anew for the next invocation
                    return Outcome(Ending.ERROR, payload, request_id)
                self._is_ready = True
            deadline = time.monotonic() + header.timeout_s
            self._connection.settimeout(header.timeout_s)
            protocol.send(self._connection, msgspec.json.encode(header), event)
            answer, payload = self._receive(deadline)
            return Outcome(Ending.ERROR if answer.is_error else Ending.OK, payload, request_id)
        except TimeoutError:
            self.is_usable = False
            self._kill()
            limit_s = header.timeout_s if self._is_ready else INIT_TIMEOUT_S
            message = f"RequestId: {request_id} Error: Task timed out after {limit_s:.2f} seconds"
            return Outcome.failed(Ending.TIMEOUT, "Sandbox.Timedout", message, request_id)
        except (protocol.Closed, OSError):  # OSError: the pool has hung up meanwhile
            self.is_usable = False
            self.end()
            message = f"RequestId: {request_id} Error: {_exit_words(self._process.returncode)}"
            return Outcome.failed(Ending.CRASH, "Runtime.ExitError", message, request_id)

    def hang_up(self) -> None:
        """Close our end of the connection; the process exits when it sees that."""
        with contextlib.suppress(OSError):  # it is gone already
            self._connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Wait for the process to exit, and kill it if it does not."""
        with self._end:
            self.hang_up()
            try:
                self._process.wait(_LEAVE_S)
            except subprocess.TimeoutExpired:
                self._kill()
            self._connection.close()

    def _receive(self, deadline: float) -> tuple[protocol.AnswerHeader, bytes]:
        parts = []
        for _ in range(2):
            # Never zero: that would mean non-blocking.
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            parts.append(protocol.receive(self._connection))
        return msgspec.json.decode(parts[0], type=protocol.AnswerHeader), parts[1]

    def _kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it exited between the two lines
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


def _exit_words(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        words = (signal.strsignal(-returncode) or str(-returncode)).lower()
        return f"Runtime exited with error: signal: {words}"
    if returncode:
        return f"Runtime exited with error: exit status {returncode}"
    return "Runtime exited without providing a reason"
