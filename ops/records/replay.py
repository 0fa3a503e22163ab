"""`ops replay`: the stream's retained past through the same ingest once more.

What the history holds already is written again, which changes nothing; what it lost, or never had, is there
afterwards.  Shards are read side by side, each at a pace that leaves the event source mapping its share.
"""

import argparse
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_UNAVAILABLE
from ops import arguments
from ops.output import CommandError, say, tell, tell_json, when

if TYPE_CHECKING:
    from chalicelib.stream.records import Record

    Process = Callable[[Sequence[Record], dict[str, int]], tuple[int, dict[str, int]]]

EXAMPLES = """\
  # the last six hours, as far as the stream still holds them
  python -m ops replay --since 6h

  # since a moment: what would be done
  python -m ops replay --since 2026-11-20T12:00:00Z --dry-run

  # everything the stream holds; the figures for a program
  python -m ops replay --since 365d --json
"""

#: How long one batch may wait for DynamoDB, and one read for Kinesis, before the replay gives up.
PATIENCE_S = 60.0

#: Shards read at once.
SHARDS_AT_ONCE = 16


class Counts:
    """What a replay has done so far; several threads add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.records = 0
        self.stored = 0
        self.quarantined: dict[str, int] = {}
        self.at_ms = 0  # arrival of the newest record seen

    def add(self, batch: "Sequence[Record]", stored: int, quarantined: dict[str, int]) -> None:
        """Count a batch."""
        with self._lock:
            self.records += len(batch)
            self.stored += stored
            for reason, count in quarantined.items():
                self.quarantined[reason] = self.quarantined.get(reason, 0) + count
            self.at_ms = max([self.at_ms, *(record.arrived_at_ms for record in batch)])


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(
        nouns, "replay", "run the stream's retained past through ingest again", EXAMPLES
    )
    parser.add_argument(
        "--since", type=arguments.moment_ms, required=True, metavar="T", help="RFC 3339, or 30m, 6h, 2d"
    )
    parser.add_argument("--dry-run", action="store_true", help="read and count, write nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replay; the figures are the answer."""
    from botocore.exceptions import BotoCoreError, ClientError

    from chalicelib import settings
    from chalicelib.deadline import Deadline
    from chalicelib.errors import GoneError, LifecycleError
    from chalicelib.stream import replay_reader
    from ops import clients

    stream, kinesis = settings.stream_name(), clients.kinesis()
    try:
        hours = replay_reader.retention_hours(kinesis, stream, Deadline(5))
    except GoneError as exc:
        raise CommandError(
            f"there is no stream {stream}; {clients.remedy()}",
            EXIT_UNAVAILABLE,
        ) from exc
    now_ms = time.time() * 1000
    if args.since < now_ms - hours * 3_600_000:
        say(
            f"the stream holds {hours} hours: nothing before {when(now_ms - hours * 3_600_000)} is left in it"
        )
    shards = [
        shard["ShardId"]
        for page in kinesis.get_paginator("list_shards").paginate(StreamName=stream)
        for shard in page["Shards"]
    ]
    counts = Counts()
    stop = threading.Event()
    interrupted = False
    failures: list[str] = []
    process = _ingest(args.dry_run)
    with ThreadPoolExecutor(SHARDS_AT_ONCE, thread_name_prefix="shard") as pool, _progress(counts):
        running: dict[Future[None], str] = {}
        for shard_id in shards:
            shard = replay_reader.Shard(kinesis, stream, shard_id, lambda: Deadline(PATIENCE_S), stop.wait)
            running[pool.submit(_replay, shard, args.since, now_ms, process, counts, stop)] = shard_id
        try:
            for future in as_completed(running):
                try:
                    future.result()
                except (LifecycleError, BotoCoreError, ClientError) as exc:
                    failures.append(f"{running[future]}: {exc}")
                    stop.set()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            stop.set()
    _tell(args, counts, len(shards))
    for failure in failures:
        say(f"error: {failure}; replay again, what was stored stays stored")
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if failures else EXIT_OK


def _replay(
    shard: Any,
    since_ms: int,
    until_ms: float,
    process: "Process",
    counts: Counts,
    stop: threading.Event,
) -> None:
    """One shard.  A shard that has expired since it was listed held nothing we could have read."""
    from chalicelib.errors import GoneError
    from chalicelib.ingest.isolate import BATCH
    from chalicelib.stream import replay_reader
    from chalicelib.stream.batches import batches

    if stop.is_set():
        return
    with contextlib.suppress(GoneError):
        for page in replay_reader.since(shard, since_ms / 1000, until_ms):
            cases: dict[str, int] = {}
            for batch in batches(shard.stream, shard.shard_id, page, BATCH):
                if stop.is_set():
                    return
                counts.add(batch.records, *process(batch.records, cases))


def _ingest(dry_run: bool) -> "Process":
    """What is done with a batch; the same code for a dry run, on tables that keep nothing."""
    from chalicelib.deadline import Deadline
    from chalicelib.ingest.isolate import isolate
    from chalicelib.ingest.writers import Writers
    from ops import clients
    from ops.records.dry_run import NoHistory, NoQuarantine

    history, quarantine = (
        (NoHistory(), NoQuarantine()) if dry_run else (clients.history(), clients.quarantine())
    )
    writers = Writers(SHARDS_AT_ONCE)

    def process(batch: "Sequence[Record]", cases: dict[str, int]) -> tuple[int, dict[str, int]]:
        return isolate(batch, history, quarantine, Deadline(PATIENCE_S), writers, cases)

    return process


def _tell(args: argparse.Namespace, counts: Counts, shards: int) -> None:
    if args.json:
        tell_json(
            {
                "dry_run": args.dry_run,
                "since": when(args.since),
                "shards": shards,
                "records": counts.records,
                "stored": counts.stored,
                "quarantined": counts.quarantined,
            }
        )
        return
    would = "would be " if args.dry_run else ""
    bad = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.quarantined.items()))
    tell(
        f"{counts.records} records of {shards} shards since {when(args.since)}: "
        f"{counts.stored} {would}stored"
        f", {sum(counts.quarantined.values())} {would}quarantined{f' ({bad})' if bad else ''}"
    )


@contextlib.contextmanager
def _progress(counts: Counts) -> Iterator[None]:
    """A line on a terminal that says how far the replay has come."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with Live(
        get_renderable=lambda: Text(f"{counts.records} records, up to {when(counts.at_ms)}"),
        console=console,
        refresh_per_second=4,
        transient=True,
    ):
        yield
