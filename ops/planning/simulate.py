"""`ops simulate`: what would happen to a load on AWS, without putting a single record anywhere.

Options in, a simulated run (`simulation/engine.py`) out: as a table, as JSON, as a plot.
"""

import argparse
import json
import os
import random
from pathlib import Path

from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.paths import ROOT
from ops import arguments
from ops.output import CommandError, counted, duration, say, tell_json
from ops.planning import capacity
from ops.planning.simulation.output import as_json, tell_run
from ops.planning.simulation.plot import plot
from ops.planning.simulation.scenario import Load, Settings

FUNCTIONS = ROOT / "infra" / "functions.json"

EXAMPLES = """\
  # a burst of 100,000 on what infra/ describes
  python -m ops simulate

  # the same on one shard and a table that takes 500 writes a second; fail unless it is stored in a minute
  python -m ops simulate --shards 1 --write-units 500 --within 60

  # an hour of a billion events a day on 14 shards, with a plot
  python -m ops simulate --events-per-day 1000000000 --hours 1 --shards 14 --write-units 20000 --svg run.svg

  # the burst aggregated, 25 events to a record, on two shards
  python -m ops simulate --events-per-record 25 --shards 2

  # an even flow with a burst in it, crashes now and then, figures for a program
  python -m ops simulate --events-per-day 660000 --hours 0.5 --burst 100000 --burst-at 600 --failing 0.01 --json

exit codes:
  0    every event was stored, and with --within in time
  1    not in time, or records were rejected by the producer or ended as dead letters
  2    the command line is unusable, or the plot cannot be written
"""

#: What a provisioned table saves up (DynamoDB developer guide, "Burst and adaptive capacity").
SAVED_S = 300.0

#: A run lasts a month at most.
MAX_HOURS = 24 * 31

#: Each draws its shard; a million are as even as any more.
MAX_PRODUCTS = 1_000_000

#: More than that fits into no record that a producer of ours sends.
MAX_EVENTS_PER_RECORD = 1_000

#: From so many invocations on it is said how long it will take.
MANY = 5_000_000
_INVOCATIONS_PER_SECOND = 60_000


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "simulate", "run a load through a simulated deployment", EXAMPLES)
    default = Settings()
    load = parser.add_argument_group("the load")
    arguments.number(
        load, "--burst", "events that come at once (100000; none with --events-per-day)", whole=True
    )
    arguments.number(
        load, "--burst-at", "second of the run at which they come", 0.0, least=0.0, most=MAX_HOURS * 3600
    )
    arguments.number(load, "--producers", "processes that put the burst", Load().producers, whole=True)
    arguments.number(load, "--events-per-day", "an even flow beside the burst", whole=True)
    arguments.number(load, "--hours", "how long the even flow lasts (1)", most=MAX_HOURS)
    load.add_argument(
        "--bytes",
        type=arguments.event_bytes,
        default=Load().event_bytes,
        metavar="N",
        help="bytes of an event as it is sent (%(default)s)",
    )
    arguments.number(
        load,
        "--events-per-record",
        "events that a producer aggregates into a record",
        1,
        whole=True,
        most=MAX_EVENTS_PER_RECORD,
    )
    arguments.number(
        load,
        "--products",
        "keys that the events belong to (so many that shards get equal parts)",
        whole=True,
        most=MAX_PRODUCTS,
    )
    pipeline = parser.add_argument_group("the deployment")
    arguments.number(pipeline, "--shards", "shards of the stream", default.shards, whole=True, most=10_000)
    arguments.number(
        pipeline, "--batch-size", "records in an invocation", default.batch_size, whole=True, most=10_000
    )
    arguments.number(
        pipeline, "--window", "batching window in seconds", default.window_s, least=0.0, most=300
    )
    arguments.number(
        pipeline, "--parallelization", "lanes a shard", _deployed("parallelization"), whole=True, most=10
    )
    arguments.number(
        pipeline, "--memory", "MB of the function", _deployed("memory"), whole=True, least=128, most=10_240
    )
    arguments.number(
        pipeline, "--handler-ms", "time of an invocation beside its records (by memory)", least=0.0
    )
    arguments.number(pipeline, "--record-ms", "time of an event in an invocation (by memory)", least=0.0)
    arguments.number(
        pipeline, "--cold-start-ms", "time of a new sandbox's start", capacity.COLD_START_S * 1000, least=0.0
    )
    arguments.number(
        pipeline, "--timeout", "seconds that an invocation may take", _deployed("timeout"), most=900
    )
    arguments.number(
        pipeline,
        "--retries",
        "times a record that fails alone is tried again",
        _deployed("retries"),
        whole=True,
        least=0,
        most=10_000,
    )
    arguments.number(pipeline, "--concurrency", "invocations at once", default.concurrency, whole=True)
    arguments.number(
        pipeline, "--write-units", "write units a second of the table", default.write_units_s, least=1.0
    )
    pipeline.add_argument(
        "--provisioned", action="store_true", help="the table saves up to 300 s of unused units"
    )
    arguments.number(
        pipeline, "--failing", "share of invocations that crash", default.failing, least=0.0, most=0.99
    )
    arguments.number(
        parser,
        "--within",
        "seconds in which a burst has to be stored; without one, everything after the last event has come",
    )
    arguments.number(parser, "--seed", "the same one gives the same run", 1, whole=True, least=0)
    parser.add_argument("--svg", metavar="FILE", help="plot the run over time")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulate; 1 when it does not end well."""
    from ops.planning.simulation.engine import (
        simulate,  # it takes its rules from code that needs botocore: not for --help
    )

    load, settings = _load(args), _settings(args)
    if args.svg is not None:
        _require_writable(args.svg)
    try:
        settings.require_room_for(load)
    except ValueError as exc:
        raise CommandError(
            f"{exc}: raise --write-units, or save some up with --provisioned", EXIT_USAGE
        ) from exc
    expected = (load.flow_records + load.burst_records) / max(1.0, settings.batch_size)
    if load.events_s:
        interval_s = max(settings.poll_s, settings.window_s)
        lanes = settings.shards * settings.parallelization
        lasts_s = max(load.seconds, load.burst_at if load.burst else 0.0)
        expected = max(expected, lanes * lasts_s / interval_s)
    if expected > MANY:
        say(f"about {expected:,.0f} invocations: this takes {duration(expected / _INVOCATIONS_PER_SECOND)}")
    result = simulate(settings, load, random.Random(args.seed))
    takes_s = result.drained_s - load.seconds if result.burst_stored_s is None else result.burst_stored_s
    is_good = result.stored == result.events and (args.within is None or takes_s <= args.within)
    if args.json:
        tell_json(as_json(load, settings, result))
    else:
        tell_run(load, result)
    if args.svg:
        try:
            Path(args.svg).write_text(plot(load, settings, result), encoding="utf-8")
        except OSError as exc:
            raise CommandError(_no_plot(args.svg, exc.strerror), EXIT_USAGE) from exc
        say(f"the plot is in {args.svg}")
    if args.within is not None and takes_s > args.within:
        say(f"not in time: {takes_s:,.1f} s instead of {args.within:g}")
    return EXIT_OK if is_good else EXIT_FAILED


def _require_writable(file: str) -> None:
    """Raises CommandError for a plot that could not be written after the run."""
    path = Path(file)
    if not path.parent.is_dir():
        raise CommandError(_no_plot(file, "there is no such directory"), EXIT_USAGE)
    if not file or path.is_dir():
        raise CommandError(_no_plot(file, "it is no file"), EXIT_USAGE)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(_no_plot(file, "not allowed"), EXIT_USAGE)


def _no_plot(file: str, reason: str | None) -> str:
    return f"the plot cannot be written to {file!r} ({reason}): name a file in a directory of yours"


def _load(args: argparse.Namespace) -> Load:
    if args.hours is not None and not args.events_per_day:
        raise CommandError("--hours is how long an even flow lasts: give --events-per-day, too", EXIT_USAGE)
    burst = args.burst
    if args.events_per_day and burst is None and args.burst_at:
        raise CommandError("--burst-at is when a burst comes: give --burst, too", EXIT_USAGE)
    if burst is None:
        burst = 0 if args.events_per_day else 100_000
    events_s = (args.events_per_day or 0) / 86_400
    load = Load(
        events_s=events_s,
        seconds=(args.hours or 1.0) * 3600 if events_s else 0.0,
        burst=burst,
        burst_at=args.burst_at,
        producers=args.producers,
        event_bytes=args.bytes,
        events_per_record=args.events_per_record,
        keys=args.products,
    )
    if load.record_bytes > capacity.MB:
        raise CommandError(
            f"{args.events_per_record} events of {args.bytes:,} bytes make a record of {load.record_bytes:,}, "
            f"it may have {capacity.MB:,}: lower --events-per-record",
            EXIT_USAGE,
        )
    if args.events_per_day and not load.flow_records:
        raise CommandError(
            f"{counted(args.events_per_day, 'event')} a day are none in {duration(load.seconds)}: "
            "raise --events-per-day or --hours",
            EXIT_USAGE,
        )
    return load


def _settings(args: argparse.Namespace) -> Settings:
    handler_s, record_s = handler_times(args.memory)
    if args.handler_ms is not None:
        handler_s = args.handler_ms / 1000
    if args.record_ms is not None:
        record_s = args.record_ms / 1000
    return Settings(
        shards=args.shards,
        batch_size=args.batch_size,
        window_s=args.window,
        parallelization=args.parallelization,
        handler_s=handler_s,
        record_s=record_s,
        cold_start_s=args.cold_start_ms / 1000,
        concurrency=args.concurrency,
        write_units_s=args.write_units,
        saved_s=SAVED_S if args.provisioned else 1.0,
        failing=args.failing,
        timeout_s=args.timeout,
        retry_attempts=args.retries,
    )


def handler_times(memory_mb: int) -> tuple[float, float]:
    """Seconds of an invocation and of each of its records, as measured and scaled by memory."""
    slower = max(1.0, capacity.ONE_CPU_MB / memory_mb)
    handler_s = capacity.HANDLER_CPU_S * slower + capacity.WRITE_LATENCY_S
    return handler_s, capacity.RECORD_CPU_S * slower + capacity.WRITE_LATENCY_S / capacity.WRITES_AT_ONCE


def _deployed(what: str) -> int:
    """What `infra/functions.json` says of the ingest function."""
    process = json.loads(FUNCTIONS.read_text())["Resources"]["ProcessLifecycle"]["Properties"]
    mapping = process["Events"]["ProcessLifecycleKinesisEventSource"]["Properties"]
    return {
        "memory": int(process["MemorySize"]),
        "timeout": int(process["Timeout"]),
        "parallelization": int(mapping["ParallelizationFactor"]),
        "retries": int(mapping["MaximumRetryAttempts"]),
    }[what]
