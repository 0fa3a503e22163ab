"""`serve` and `reset`: the pipeline kept running for a person, and forgetting what it has stored.

The only place that knows the directory where state and logs are kept, and that one pipeline uses it at a
time.
"""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from rich.console import Console

from chalicelib import settings
from cli.paths import ROOT
from local import aws, pipeline, stack
from local.commands import dashboard
from local.emulator import process
from local.faults.switchboard import Faults, Switchboard, described
from local.observers.counters import Counts
from local.observers.gauges import LATE_MS, Gauges
from local.pipeline import Pipeline, PipelineError, Plan

#: How often the counts are looked at, and how often at most a line is printed about them.
_LOOK_S, _TELL_S = 0.5, 5.0


def default_home() -> Path:
    """Where this checkout's pipeline is kept when nobody says: outside the checkout, in the user's state.

    `chalice local` watches the project's folder and starts again at every file that changes there, so logs
    in it would keep restarting it (chalice/cli/filewatch).  XDG Base Directory Specification for the rest.
    """
    checkout = ROOT
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    mark = blake2b(str(checkout).encode(), digest_size=4).hexdigest()
    return state / "product-lifecycle-history" / f"{checkout.name}-{mark}"


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of a pipeline that is kept."""

    directory: Path

    @property
    def state(self) -> Path:
        """The endpoint's state between two runs."""
        return self.directory / "state"

    @property
    def logs(self) -> Path:
        """What the parts of the latest run had to say."""
        return self.directory / "logs"

    @property
    def record(self) -> Path:
        """Who the endpoint is."""
        return self.directory / "endpoint.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else serves from here or resets meanwhile; a lock goes with its process.

        Raises PipelineError when somebody does, or nothing can be kept there.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            opened = (self.directory / "lock").open("a")
        except OSError as exc:
            raise PipelineError(
                f"nothing can be kept in {self.directory}: {exc.strerror}; name another directory with --home"
            ) from exc
        with opened as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise PipelineError(
                    f"a pipeline is running from {self.directory}; stop it first (Ctrl-C where it runs)"
                ) from exc
            yield


def serve(
    home: Home,
    *,
    stage: str,
    api_port: int | None,
    endpoint_port: int | None,
    as_json: bool,
    say: Callable[[str], None],
    to_go_wrong: Faults | None = None,
    seed: int | None = None,
    shard_limits: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Run the pipeline until KeyboardInterrupt.  Ports of None take free ones.

    A person at a terminal sees the dashboard; elsewhere there are plain lines.  Raises what
    `pipeline.running` raises, and EndpointError when the endpoint goes away.
    """
    gauges = Gauges()
    terminal = Console(stderr=True, highlight=False)
    is_drawn = not as_json and terminal.is_terminal and not terminal.is_dumb_terminal and sys.stdout.isatty()
    with home.locked():
        shutil.rmtree(home.logs, ignore_errors=True)
        board = None
        if to_go_wrong is not None:
            board = Switchboard(home.logs / "faults", to_go_wrong, seed=seed)
            for phrase in described(to_go_wrong):
                say(f"fault: {phrase}")
        plan = Plan(
            stage,
            home.logs,
            api_port,
            endpoint_port,
            home.state,
            home.record,
            faults=board,
            shard_limits=shard_limits,
        )
        with pipeline.running(plan, gauges, say) as running:
            if as_json:
                urls = {"stage": stage, "api": running.api_url, "endpoint": running.aws_url}
                print(json.dumps(urls), flush=True)
            else:
                print(_welcome(running, home), flush=True)
            if is_drawn:
                dashboard.show(running, gauges, home.logs, terminal)
            _report(running, gauges, say, clock, sleep)


def reset(home: Home, *, stage: str, say: Callable[[str], None]) -> None:
    """Forget everything stored: the kept state, or the stage's stack on the endpoint in AWS_ENDPOINT_URL."""
    given = aws.given_endpoint()
    with home.locked():
        if given is not None:
            aws.use(aws.environment(stage, given.url, os.environ))
            with aws.answering(given):
                pipeline.remove(stage)
            say(f"removed stack {stack.name(stage)} from {given.url}")
            return
        left = process.recorded(home.record)
        if left is not None:
            left.stop(timeout_s=5)
            say(f"stopped the endpoint that an earlier run left at {left.url}")
        home.record.unlink(missing_ok=True)
        if home.state.exists():
            shutil.rmtree(home.state)
            say(f"removed {home.state}")
        else:
            say(f"nothing is stored in {home.state}")


def access() -> str:
    """Say who may ask the API, by the settings that it reads too."""
    if settings.tokens():
        return "asks for a token that LIFECYCLE_TOKENS lists"
    if settings.is_open():
        return "open to this machine, without tokens"
    return "refuses everybody: LIFECYCLE_TOKENS lists no token, and LIFECYCLE_OPEN is not yes"


def _welcome(running: Pipeline, home: Home) -> str:
    lines = [
        f"API       {running.api_url}/products/<serial>  ({access()})",
        f"endpoint  {running.aws_url}  (Kinesis, DynamoDB, SQS; stage {running.stage})",
        f"kept in   {home.directory}  (logs in {home.logs.name}/)",
    ]
    usual = "http://127.0.0.1:4566"
    if running.aws_url != usual:
        lines.append(f"in another terminal first:  export AWS_ENDPOINT_URL={running.aws_url}")
    if running.stage != "local":
        lines.append(f"in another terminal first:  export LIFECYCLE_STAGE={running.stage}")
    lines.append("send events with `make produce`; stop with Ctrl-C")
    return "\n".join(lines)


def _report(
    running: Pipeline,
    gauges: Gauges,
    say: Callable[[str], None],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Say what has been done whenever something has, or is late, but not all the time.  Does not return.

    Raises EndpointError when the endpoint is gone.
    """
    told = gauges.counts()
    told_at = clock()
    while True:
        sleep(_LOOK_S)
        running.endpoint.check()
        if clock() - told_at < _TELL_S:
            continue
        counts, late = gauges.counts(), _late(gauges, time.time())
        if counts != told or late:
            say(_line(counts, told) + late)
            told, told_at = counts, clock()


def _late(gauges: Gauges, now: float) -> str:
    """What is to be said of records that the function does not get done; empty while there are none."""
    shards = gauges.shards().values()
    ages_s = [now - shard.oldest_at for shard in shards if shard.oldest_at is not None]
    if max(ages_s, default=0.0) * 1000 < LATE_MS:
        return ""
    in_hand = sum(shard.read - shard.done for shard in shards)
    return f"; {in_hand:,} in hand, the oldest for {max(ages_s):.0f} s"


def _line(counts: Counts, before: Counts) -> str:
    parts = [
        f"{time.strftime('%H:%M:%S')}  {counts.processed:,} records processed "
        f"(+{counts.processed - before.processed:,}) in {counts.invocations:,} invocations"
    ]
    if counts.failed_invocations:
        parts.append(f"{counts.failed_invocations:,} failed")
    if counts.bisects:
        parts.append(f"{counts.bisects:,} bisected")
    if counts.discarded:
        parts.append(f"{counts.discarded:,} records dead-lettered")
    return ", ".join(parts)


def to_stderr(line: str) -> None:
    """Where progress goes."""
    print(line, file=sys.stderr, flush=True)
