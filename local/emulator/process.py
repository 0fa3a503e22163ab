"""The embedded AWS endpoint (MiniStack) as a process of its own: started, waited for, adopted, stopped.

The only place that knows MiniStack's environment variables and its health path.  It plays AWS, so it is not
one of our processes: `serve` lets it live on when everything of ours is killed and adopts it afterwards,
while tests and `demo` tie its life to their own.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli.paths import ROOT

HOST = "127.0.0.1"

#: A start takes a quarter of a second; restoring a large state takes longer.
START_TIMEOUT_S = 120.0
#: Saving a large state takes tens of seconds; without one, stopping takes none.
STOP_TIMEOUT_S = 120.0

_MODULE = "local.emulator"
_SHARD_LIMITS = "--shard-limits"
_HEALTH_PATH = "/_ministack/health"
_FREE_PORT_ATTEMPTS = 5


class EndpointError(Exception):
    """The endpoint did not start, is gone, or its port is somebody else's.  The message has the remedy."""


class PortInUseError(EndpointError):
    """Something that is not ours listens on the port."""


class Endpoint:
    """A running endpoint.  `stop()` ends it when it is ours to end, and is safe to call twice."""

    def __init__(
        self,
        url: str,
        pid: int | None = None,
        process: subprocess.Popen[bytes] | None = None,
        keeps_state: bool = False,
        has_shard_limits: bool = False,
    ) -> None:
        self.url = url
        self.pid = pid
        self.has_shard_limits = has_shard_limits
        self._process = process
        self._keeps_state = keeps_state

    @property
    def is_ours(self) -> bool:
        """Whether stopping it is our business."""
        return self.pid is not None

    @property
    def is_gone(self) -> bool:
        """Whether it was ours and has ended without our stopping it."""
        return self.pid is not None and not self._is_running(self.pid)

    def check(self) -> None:
        """Raise EndpointError, with what is lost and the next step, when it is gone."""
        if not self.is_gone:
            return
        if self._keeps_state:
            raise EndpointError(
                f"the AWS endpoint at {self.url} is gone; what was put since its last orderly stop is lost "
                "where its state was not saved; start it again with `make serve`"
            )
        raise EndpointError(
            f"the AWS endpoint at {self.url} is gone, and everything that was put there; run it again"
        )

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask it to save its state and end; kill it when it has not done so in time."""
        if self.pid is None or self.is_gone:  # a process id that is free again may be anybody's
            return
        pid, self.pid = self.pid, None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            if not _poll(lambda: not self._is_running(pid), timeout_s):
                os.kill(pid, signal.SIGKILL)
                _poll(lambda: not self._is_running(pid), 10)

    def _is_running(self, pid: int) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return command_line(pid) is not None


def at(url: str) -> Endpoint:
    """The endpoint that somebody else runs at `url`; never stopped by us."""
    return Endpoint(url.rstrip("/"))


def start(
    *,
    log_path: Path,
    port: int | None = None,
    state_dir: Path | None = None,
    record: Path | None = None,
    shard_limits: bool = False,
) -> Endpoint:
    """Start MiniStack on `port`, or on a free one, and return once it answers.

    With `state_dir` its state is loaded from there and saved there when it is stopped in order.  With
    `record` it outlives a kill of this process and writes who it is to that file, so that the next start
    adopts it, or ends it in order when another port is wanted or other limits; without, it ends when this
    process does (on Linux also when that is killed; elsewhere the orderly `stop()` has to do).  With
    `shard_limits` its shards take what AWS's do, and refuse the rest.

    Raises PortInUseError, or EndpointError when it does not come up.
    """
    ours = recorded(record) if record else None
    if ours is not None:
        if ours.has_shard_limits == shard_limits and (port is None or ours.url == _url(port)):
            return ours
        ours.stop()
    if port is not None:
        _check_free(port)
        return _start(port, log_path, state_dir, record, shard_limits)
    for _ in range(_FREE_PORT_ATTEMPTS - 1):
        with contextlib.suppress(PortInUseError):
            return _start(free_port(), log_path, state_dir, record, shard_limits)
    return _start(free_port(), log_path, state_dir, record, shard_limits)


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a MiniStack answers at `url`."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
    try:
        connection.request("GET", _HEALTH_PATH)
        response = connection.getresponse()
        return response.status == 200 and b'"services"' in response.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether we could listen on `port`."""
    with socket.socket() as probe:
        # As servers do: connections of an earlier run that linger in TIME_WAIT hinder nobody.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def recorded(record: Path) -> Endpoint | None:
    """The endpoint that `record` names, when that still runs."""
    try:
        written = json.loads(record.read_text())
        pid, url = int(written["pid"]), str(written["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    command = command_line(pid)
    # Process ids are used again: only a MiniStack that answers where ours did is ours.
    if command is None or f"-m {_MODULE}" not in command or not answers(url):
        return None
    return Endpoint(url, pid=pid, keeps_state=True, has_shard_limits=_SHARD_LIMITS in command)


def _check_free(port: int) -> None:
    if is_free(port):
        return
    what = "an AWS endpoint that was not started from here" if answers(_url(port)) else "another program"
    raise PortInUseError(
        f"port {port} is in use by {what}; stop it, choose another port with --endpoint-port, "
        f"or use an endpoint that runs already: AWS_ENDPOINT_URL={_url(port)}"
    )


def _start(
    port: int, log_path: Path, state_dir: Path | None, record: Path | None, shard_limits: bool
) -> Endpoint:
    if importlib.util.find_spec("ministack") is None:
        raise EndpointError("the package ministack is missing; run `make install`")
    url = _url(port)
    command = [sys.executable, "-m", _MODULE]
    command += [] if record else ["--with-parent"]
    command += [_SHARD_LIMITS] if shard_limits else []
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(port, state_dir, log_path.parent),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us first, and we stop it once nobody needs it
        )
    endpoint = Endpoint(url, process.pid, process, state_dir is not None, shard_limits)
    if record is not None:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"pid": process.pid, "url": url}))
    try:
        _poll(lambda: process.poll() is not None or answers(url), START_TIMEOUT_S)
        if process.poll() is not None:
            if not is_free(port):
                raise PortInUseError(f"port {port} was taken by another program just now; try again")
            lines = log_path.read_text(errors="replace").splitlines() or ["nothing in its log"]
            raise EndpointError(
                f"the endpoint ended at once with code {process.returncode}: {lines[-1]}; see {log_path}"
            )
        if not answers(url):
            raise EndpointError(f"the endpoint did not answer within {START_TIMEOUT_S:.0f} s; see {log_path}")
    except BaseException:  # Ctrl-C too: nobody else knows of the process yet
        endpoint.stop(timeout_s=5)
        raise
    return endpoint


def _environment(port: int, state_dir: Path | None, directory: Path) -> dict[str, str]:
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,  # it binds every interface unless told
        "LOG_LEVEL": "WARNING",
        # It removes containers at start and stop that it takes for its own, and listens on fixed ports for
        # services we have no use for: neither is wanted on somebody's machine.
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(directory),  # where it leaves its pid file
        "S3_DATA_DIR": str(directory / "s3"),
        "PERSIST_STATE": "0",
    }
    environment.pop("AWS_ENDPOINT_URL", None)
    if state_dir is not None:
        environment.update(PERSIST_STATE="1", STATE_DIR=str(state_dir))
    return environment


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def command_line(pid: int) -> str | None:
    """The command line of a running process; None when it has ended."""
    status = Path(f"/proc/{pid}/status")
    try:
        if "\nState:\tZ" in status.read_text():  # ended, and not yet collected by its parent
            return None
        return status.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        if Path("/proc/self").exists():
            return None
    # No /proc: macOS and the BSDs.
    answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    return answer.stdout.strip() or None


def _poll(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
