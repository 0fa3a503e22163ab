"""`serve`: the pipeline kept running, with a dashboard on a terminal and plain lines elsewhere."""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable

from rich.console import Console

from chalicelib import settings
from cli.exits import EXIT_OK
from cli.output import to_stderr
from local import pipeline
from local.commands import dashboard
from local.commands.home import Home, default_home
from local.faults import switchboard
from local.observers.counters import Counts
from local.observers.gauges import LATE_MS, Gauges
from local.pipeline import Pipeline, Plan

#: How often the counts are looked at, and how often at most a line is printed about them.
_LOOK_S, _TELL_S = 0.5, 5.0


def run(args: argparse.Namespace) -> int:
    """Run the pipeline until Ctrl-C; returns the exit code.

    A person at a terminal sees the dashboard; elsewhere there are plain lines.  Raises what
    `pipeline.running` raises, and EndpointError when the endpoint goes away.
    """
    try:
        _serve(args, Home(args.home or default_home()))
    except KeyboardInterrupt:
        to_stderr("stopped")
    return EXIT_OK


def _serve(args: argparse.Namespace, home: Home) -> None:
    gauges = Gauges()
    terminal = Console(stderr=True, highlight=False)
    is_drawn = terminal.is_terminal and not terminal.is_dumb_terminal and sys.stdout.isatty()
    with home.locked():
        shutil.rmtree(home.logs, ignore_errors=True)
        board = switchboard.board(args.fault, home.logs / "faults", args.seed, to_stderr)
        plan = Plan(
            args.stage,
            home.logs,
            args.port or None,
            args.endpoint_port or None,
            home.state,
            home.record,
            faults=board,
            shard_limits=args.shard_limits,
            poll_interval_s=args.poll_interval,
        )
        with pipeline.running(plan, gauges, to_stderr) as running:
            if args.json:
                urls = {"stage": args.stage, "api": running.api_url, "endpoint": running.endpoint.url}
                print(json.dumps(urls), flush=True)
            else:
                print(_welcome(running, home), flush=True)
            if is_drawn and not args.json:
                dashboard.show(running, gauges, home.logs, terminal)
            _report(running, gauges)


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
        f"endpoint  {running.endpoint.url}  (Kinesis, DynamoDB, SQS; stage {running.stage})",
        f"kept in   {home.directory}  (logs in {home.logs.name}/)",
    ]
    usual = "http://127.0.0.1:4566"
    if running.endpoint.url != usual:
        lines.append(f"in another terminal first:  export AWS_ENDPOINT_URL={running.endpoint.url}")
    if running.stage != "local":
        lines.append(f"in another terminal first:  export LIFECYCLE_STAGE={running.stage}")
    lines.append("send events with `make produce`; stop with Ctrl-C")
    return "\n".join(lines)


def _report(
    running: Pipeline,
    gauges: Gauges,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print a line when something was done or is late, every _TELL_S seconds at most.  Does not return.

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
            to_stderr(_line(counts, told) + late)
            told, told_at = counts, clock()


def _late(gauges: Gauges, now: float) -> str:
    """Return the words about records that the function does not finish; empty while none is late."""
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
