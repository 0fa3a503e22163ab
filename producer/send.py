"""The `send` command: entries onto the stream, and what is said about it.

Data on standard output, everything else on standard error, the verdict in the exit code.
"""

import argparse
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chalicelib import settings
from chalicelib.raw_call import RawCall
from cli import stage
from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_UNAVAILABLE
from cli.output import to_stderr
from producer import refusals
from producer.aggregate import Aggregator, open_shards
from producer.entry import Entry
from producer.limits import IN_FLIGHT
from producer.putter import Putter
from producer.refusals import StreamUnavailableError
from producer.report import Report
from producer.source import Source

#: Types named on the terminal; `--json` has them all.
MAX_NAMED = 20

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


def run(args: argparse.Namespace) -> int:
    """Send what `args` asks for; returns the exit code.

    Raises ConfigurationError and OSError for what the caller can put right.
    """
    with Source(args, say=to_stderr) as source:
        return _print(source) if args.dry_run else _send(args, source)


def _send(args: argparse.Namespace, source: Source) -> int:
    stage.use(args.stage)
    stream = args.stream or settings.stream_name()
    try:
        kinesis = client()
    except (BotoCoreError, ValueError) as exc:  # ValueError: AWS_ENDPOINT_URL is no URL
        to_stderr(f"error: {exc}; check AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and AWS_PROFILE")
        return EXIT_UNAVAILABLE
    gc.freeze()  # what is loaded by now stays to the end: the collector need not look at it again and again
    unavailable = aggregator = None
    with _stopping_at_ctrl_c(source), _progress(source.total) as show:

        def answered(report: Report) -> None:
            show(report)
            if aggregator is not None and aggregator.is_outdated(report.shards):
                with contextlib.suppress(ClientError, BotoCoreError):  # the next answer says it again
                    aggregator.reshard(open_shards(kinesis, stream), report.shards)

        putter = Putter(kinesis, stream, ordered=not args.unordered, rate=args.rate, on_answer=answered)
        try:
            if args.aggregate:
                aggregator = _aggregator(kinesis, stream)
                putter.send(aggregator.records(source.entries))
            else:
                putter.send(source.entries)
        except StreamUnavailableError as exc:
            unavailable = exc
        except KeyboardInterrupt:
            source.stop()  # the second Ctrl-C: what has been read is not waited for
    if aggregator is not None:
        putter.report.unsent += aggregator.gathered()
    if unavailable is not None:
        to_stderr(f"error: {_remedy(unavailable, kinesis.meta.endpoint_url)}")
        if not putter.report.sent:
            return EXIT_UNAVAILABLE
    _keep_rejects(args, putter.report)
    _summarise(args, source, putter.report)
    if unavailable is not None:
        return EXIT_UNAVAILABLE
    if source.is_stopped:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if putter.report.rejected or source.skipped else EXIT_OK


def _aggregator(kinesis: "KinesisClient", stream: str) -> Aggregator:
    """Gathers events into records for the stream's shards.  Raises StreamUnavailableError."""
    try:
        return Aggregator(open_shards(kinesis, stream))
    except (ClientError, BotoCoreError) as exc:
        unavailable = refusals.unavailable(stream, exc, is_known=False, is_last=True)
        raise unavailable or StreamUnavailableError("refused", str(exc)) from exc


def client() -> "KinesisClient":
    """A Kinesis client that leaves retries to the putter, with the environment's endpoint and credentials."""
    kinesis = boto3.client(
        "kinesis",
        config=Config(
            connect_timeout=3,
            read_timeout=15,
            retries={"total_max_attempts": 1},
            max_pool_connections=IN_FLIGHT,
            parameter_validation=False,  # a third of a request's cost, for records that we made
        ),
    )
    call = RawCall(kinesis, "PutRecords", {"Records": []})
    # Whoever has this client puts records by it, at a fifth of what botocore's own way costs an event.
    kinesis.put_records = lambda **request: msgspec.json.decode(call(request))  # type: ignore[method-assign]
    return kinesis


def _print(source: Source) -> int:
    out = sys.stdout.buffer
    with _stopping_at_ctrl_c(source):
        try:
            for entry in source.entries:
                if entry is None:
                    out.flush()
                else:
                    out.write(entry.data + b"\n")
            out.flush()
        except BrokenPipeError:
            # The reader has seen enough (`| head`).  Nothing more may be written, not even on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_OK
    if source.is_stopped:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if source.skipped else EXIT_OK


@contextlib.contextmanager
def _stopping_at_ctrl_c(source: Source) -> Iterator[None]:
    """The first Ctrl-C ends the input and lets what was read be sent; the second raises KeyboardInterrupt.

    An exception at any moment would leave requests that nobody has counted.
    """

    def stop(signal_number: int, frame: FrameType | None) -> None:
        if source.is_stopped:
            raise KeyboardInterrupt
        source.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _progress(total: int | None) -> Iterator[Callable[[Report], None]]:
    """A progress bar on standard error while it is a terminal; yields what to show a report with."""
    console = Console(stderr=True)
    columns = (TextColumn("sent"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("sent", total=total)
        yield lambda report: bar.update(task, completed=report.sent)


def _remedy(unavailable: StreamUnavailableError, endpoint: str) -> str:
    if unavailable.reason == "no_answer":
        return (
            f"no answer at {endpoint}; start the local pipeline with `make serve`, or check AWS_ENDPOINT_URL"
        )
    if unavailable.reason == "missing":
        return (
            f"{unavailable} at {endpoint}; start the local pipeline with `make serve`, "
            "or name another stream with --stream"
        )
    return f"{unavailable}; check the credentials and the permission kinesis:PutRecords"


def _keep_rejects(args: argparse.Namespace, report: Report) -> None:
    """Write what did not get onto the stream, one record a line, as `--from` reads it again.

    What was never tried is kept only where it could not be made again.
    """
    lost = [rejected.entry for rejected in report.rejected]
    for rejected in report.rejected:
        to_stderr(f"refused: {rejected.entry.kind} of {rejected.entry.partition_key}: {rejected.reason}")
    if args.source is not None or args.rejects is not None:
        lost += report.unsent
    if lost:
        path = Path(args.rejects or f"rejects-{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}.ndjson")
        with path.open("ab") as file:
            _write(file, lost)
        to_stderr(f"{len(lost)} records that are not on the stream: {path}")


def _write(file: BinaryIO, entries: list[Entry]) -> None:
    for entry in entries:
        file.write(entry.data + b"\n")


def _summarise(args: argparse.Namespace, source: Source, report: Report) -> None:
    per_second = round(report.sent / report.seconds) if report.seconds > 0 else 0
    rejected, unsent = len(report.rejected), len(report.unsent)
    if args.json:
        summary = {
            "stream": report.stream,
            "sent": report.sent,
            "events": report.accepted["event"],
            "duplicates": report.accepted["duplicate"],
            "poison": report.accepted["poison"],
            "retried": report.retried,
            "rejected": rejected,
            "unsent": unsent,
            "skipped": source.skipped,
            "unknown_types": report.unknown_types,
            "shards": len(report.shards),
            "requests": report.requests,
            "seconds": round(report.seconds, 3),
            "events_per_second": per_second,
            "seed": source.seed,
            "now": source.now.isoformat(),
            "example": source.example,
        }
        print(msgspec.json.encode(summary).decode())
        return
    print(
        f"sent {report.sent} records to {report.stream} in {report.seconds:.2f} s ({per_second} a second): "
        f"{report.accepted['event']} events, {report.accepted['duplicate']} duplicates, "
        f"{report.accepted['poison']} poison; {report.retried} retried, {rejected} rejected, "
        f"{unsent} unsent, {source.skipped} lines skipped"
    )
    if report.unknown_types:
        named = ", ".join(
            f"{type_} ({count})" for type_, count in report.unknown_types.most_common(MAX_NAMED)
        )
        more = len(report.unknown_types) - MAX_NAMED
        to_stderr(
            f"types that drive no status, perhaps mistyped: {named}"
            + (f" and {more} more" if more > 0 else "")
            + "; their events are stored and shown"
        )
    if args.source is None:
        to_stderr(f"the same again: --seed {source.seed} --now {source.now.isoformat()}")
    if source.example is not None:
        to_stderr(f"one of the products: {source.example}")
