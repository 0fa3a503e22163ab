"""`ops simulate`: what would happen to a load on AWS, without putting a record anywhere.

The options describe a run of the simulation (`simulation/engine.py`), which is printed as a table or as JSON,
and drawn as a plot.
"""

import argparse
import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from cli.arguments import Commands, count, number, whole_number
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.output import to_stderr
from infra import functions
from ops import arguments
from ops.output import CommandError, counted, duration, print_json
from ops.planning import capacity, options
from ops.planning.simulation.engine import simulate
from ops.planning.simulation.output import as_json, plot, print_run
from ops.planning.simulation.scenario import OfferedLoad, Settings

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
  python -m ops simulate --events-per-day 660000 --hours 1 --burst 100000 --burst-at 600 --failing 0.01 --json

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

#: From this many invocations on, the command says how long it will take.
LONG_RUN = 5_000_000
_INVOCATIONS_PER_SECOND = 60_000

_MANY = whole_number(1, 10**13)
_AMOUNT = number(1e13)
_MILLISECONDS = number(1e13, least=0)


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "simulate", help, EXAMPLES, run=run)
    offered, default, deployed = OfferedLoad(), Settings(), functions.read().ingest
    at_most_ten_thousand = whole_number(1, 10_000)
    load = parser.add_argument_group("the load")
    for name, kind, value, help in (
        ("--burst", _MANY, None, "events that come at once (100000; none with --events-per-day)"),
        ("--burst-at", number(MAX_HOURS * 3600, least=0), 0.0, "second of the run at which they come"),
        ("--producers", _MANY, offered.producers, "processes that put the burst"),
        ("--events-per-day", _MANY, None, "an even flow beside the burst"),
        ("--hours", number(MAX_HOURS), None, "how long the even flow lasts (1)"),
        ("--bytes", options.event_bytes, offered.event_bytes, "bytes of an event as it is sent"),
        (
            "--events-per-record",
            whole_number(1, MAX_EVENTS_PER_RECORD),
            1,
            "events that a producer aggregates into a record",
        ),
        (
            "--products",
            whole_number(1, MAX_PRODUCTS),
            None,
            "keys that the events belong to (enough for shards to get equal parts)",
        ),
    ):
        _add_option(load, name, kind, value, help)
    pipeline = parser.add_argument_group("the deployment")
    for name, kind, value, help in (
        ("--shards", at_most_ten_thousand, default.shards, "shards of the stream"),
        ("--batch-size", at_most_ten_thousand, default.batch_size, "records in an invocation"),
        ("--window", number(300, least=0), default.window_s, "batching window in seconds"),
        ("--parallelization", whole_number(1, 10), deployed.source.parallelization_factor, "lanes per shard"),
        ("--memory", whole_number(128, 10_240), deployed.memory_size, "MB of the function"),
        ("--handler-ms", _MILLISECONDS, None, "time of an invocation beside its records (by memory)"),
        ("--record-ms", _MILLISECONDS, None, "time of an event in an invocation (by memory)"),
        ("--cold-start-ms", _MILLISECONDS, capacity.COLD_START_S * 1000, "time of a new sandbox's start"),
        ("--timeout", number(900), deployed.timeout, "seconds that an invocation may take"),
        (
            "--retries",
            whole_number(0, 10_000),
            deployed.source.maximum_retry_attempts,
            "times a record that fails alone is tried again",
        ),
        ("--concurrency", _MANY, default.concurrency, "invocations at once"),
        ("--write-units", number(1e13, least=1), default.write_units_s, "table's write units per second"),
        ("--failing", number(0.99, least=0), default.failing, "share of invocations that crash"),
    ):
        _add_option(pipeline, name, kind, value, help)
    pipeline.add_argument(
        "--provisioned", action="store_true", help="the table saves up to 300 s of unused units"
    )
    _add_option(
        parser,
        "--within",
        _AMOUNT,
        None,
        "seconds in which a burst has to be stored; without one, everything after the last event has come",
    )
    _add_option(parser, "--seed", count, 1, "the same one gives the same run")
    parser.add_argument("--svg", metavar="FILE", help="plot the run over time")


def _add_option(
    group: "argparse._ActionsContainer",
    name: str,
    kind: Callable[[str], float],
    default: float | None,
    help: str,
) -> None:
    shown = help if default is None else f"{help} ({default:g})"
    group.add_argument(name, type=kind, default=default, metavar="N", help=shown)


def run(args: argparse.Namespace) -> int:
    """Simulate; 1 when an event is not stored, or not in time."""
    load, settings = _load(args), _settings(args)
    if args.svg is not None:
        with _plot_file(args.svg):  # before the run, which may take long
            open(args.svg, "ab").close()
    try:
        settings.require_room_for(load)
    except ValueError as exc:
        raise CommandError(
            f"{exc}: raise --write-units, or save some up with --provisioned", EXIT_USAGE
        ) from exc
    expected = _expected_invocations(load, settings)
    if expected > LONG_RUN:
        takes = duration(expected / _INVOCATIONS_PER_SECOND)
        to_stderr(f"about {expected:,.0f} invocations: this takes {takes}")
    result = simulate(settings, load, random.Random(args.seed))
    takes_s = result.drained_s - load.seconds if result.burst_stored_s is None else result.burst_stored_s
    if args.json:
        print_json(as_json(load, settings, result))
    else:
        print_run(load, result)
    if args.svg:
        with _plot_file(args.svg):
            Path(args.svg).write_text(plot(load, settings, result), encoding="utf-8")
        to_stderr(f"the plot is in {args.svg}")
    is_late = args.within is not None and takes_s > args.within
    if is_late:
        to_stderr(f"not in time: {takes_s:,.1f} s instead of {args.within:g}")
    return EXIT_FAILED if is_late or result.stored < result.events else EXIT_OK


def _expected_invocations(load: OfferedLoad, settings: Settings) -> float:
    """Return about how many invocations a run takes; its cost grows with them."""
    expected = (load.flow_records + load.burst_records) / max(1.0, settings.batch_size)
    if not load.events_s:
        return expected
    lasts_s = max(load.seconds, load.burst_at if load.burst else 0.0)
    polls = lasts_s / max(settings.poll_s, settings.window_s)
    return max(expected, settings.shards * settings.parallelization * polls)


@contextlib.contextmanager
def _plot_file(file: str) -> Iterator[None]:
    """Raise CommandError for a plot that cannot be written."""
    try:
        yield
    except OSError as exc:
        raise CommandError(
            f"the plot cannot be written to {file!r} ({exc.strerror}): name a file in a directory of yours",
            EXIT_USAGE,
        ) from exc


def _load(args: argparse.Namespace) -> OfferedLoad:
    if args.hours is not None and not args.events_per_day:
        raise CommandError("--hours is how long an even flow lasts: give --events-per-day, too", EXIT_USAGE)
    burst = args.burst
    if args.events_per_day and burst is None and args.burst_at:
        raise CommandError("--burst-at is when a burst comes: give --burst, too", EXIT_USAGE)
    if burst is None:
        burst = 0 if args.events_per_day else 100_000
    events_s = (args.events_per_day or 0) / 86_400
    load = OfferedLoad(
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
            f"{load.events_per_record} events of {args.bytes:,} bytes make a record of "
            f"{load.record_bytes:,}, it may have {capacity.MB:,}: lower --events-per-record",
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
    """Return the seconds of an invocation and of each of its records, as measured and scaled by memory."""
    slower = max(1.0, capacity.ONE_CPU_MB / memory_mb)
    handler_s = capacity.HANDLER_CPU_S * slower + capacity.WRITE_LATENCY_S
    return handler_s, capacity.RECORD_CPU_S * slower + capacity.WRITE_LATENCY_S / capacity.WRITES_AT_ONCE
