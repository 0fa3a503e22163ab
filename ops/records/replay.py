"""`ops replay`: runs the records that the stream retains through ingest again.

An event that the history holds is written again, which changes nothing; one that it lost or never had is
there afterwards.  Shards are read in parallel, each at a pace that leaves the event source mapping its share.
"""

import argparse
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import settings
from chalicelib.deadline import Deadline
from chalicelib.errors import GoneError, LifecycleError
from chalicelib.ingest.isolate import BATCH, isolate
from chalicelib.ingest.writers import Writers
from chalicelib.stream import replay_reader
from chalicelib.stream.batches import batches
from chalicelib.stream.records import Record
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from cli.output import to_stderr
from ops import arguments, clients
from ops.output import print_json, print_line, when
from ops.records import stream
from ops.records.dry_run import NoHistory, NoQuarantine

#: Ingests a batch; counts the cases of each aggregate across its batches.
Ingest = Callable[[Sequence[Record], dict[str, int]], tuple[int, dict[str, int]]]

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
    """The figures of a replay, added to by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.records = 0
        self.stored = 0
        self.quarantined: dict[str, int] = {}
        self.at_ms = 0  # arrival of the newest record seen

    def add(self, batch: Sequence[Record], stored: int, quarantined: dict[str, int]) -> None:
        """Count a batch."""
        with self._lock:
            self.records += len(batch)
            self.stored += stored
            for reason, count in quarantined.items():
                self.quarantined[reason] = self.quarantined.get(reason, 0) + count
            self.at_ms = max([self.at_ms, *(record.arrived_at_ms for record in batch)])


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "replay", help, EXAMPLES, run=run)
    parser.add_argument(
        "--since", type=arguments.moment_ms, required=True, metavar="T", help="RFC 3339, or 30m, 6h, 2d"
    )
    parser.add_argument("--dry-run", action="store_true", help="read and count, write nothing")


def run(args: argparse.Namespace) -> int:
    """Replay; the figures are the answer."""
    kinesis, name = clients.kinesis(), settings.stream_name()
    hours = stream.retention_hours(kinesis)
    now_ms = time.time() * 1000
    if args.since < now_ms - hours * 3_600_000:
        to_stderr(
            f"the stream holds {hours} hours: nothing before {when(now_ms - hours * 3_600_000)} is left in it"
        )
    shards = stream.shard_ids(kinesis, name)
    counts = Counts()
    stop = threading.Event()
    interrupted = False
    failures: list[str] = []
    ingest = _ingest(args.dry_run)
    with ThreadPoolExecutor(SHARDS_AT_ONCE, thread_name_prefix="shard") as pool, _progress(counts):
        running: dict[Future[None], str] = {}
        for shard_id in shards:
            shard = replay_reader.Shard(kinesis, name, shard_id, lambda: Deadline(PATIENCE_S), stop.wait)
            running[pool.submit(_replay, shard, args.since, now_ms, ingest, counts, stop)] = shard_id
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
    _print_summary(args, counts, len(shards))
    for failure in failures:
        to_stderr(f"error: {failure}; replay again, what was stored stays stored")
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if failures else EXIT_OK


def _replay(
    shard: Any,
    since_ms: int,
    until_ms: float,
    ingest: Ingest,
    counts: Counts,
    stop: threading.Event,
) -> None:
    """Replay one shard.  One that has expired since it was listed holds nothing to read."""
    if stop.is_set():
        return
    with contextlib.suppress(GoneError):
        for page in replay_reader.since(shard, since_ms / 1000, until_ms):
            cases: dict[str, int] = {}
            for batch in batches(shard.stream, shard.shard_id, page, BATCH):
                if stop.is_set():
                    return
                counts.add(batch.records, *ingest(batch.records, cases))


def _ingest(dry_run: bool) -> Ingest:
    """Return the function that ingests a batch; a dry run's is the same on tables that keep nothing."""
    history, quarantine = (
        (NoHistory(), NoQuarantine()) if dry_run else (clients.history(), clients.quarantine())
    )
    writers = Writers(SHARDS_AT_ONCE)

    def ingest(batch: Sequence[Record], cases: dict[str, int]) -> tuple[int, dict[str, int]]:
        return isolate(batch, history, quarantine, Deadline(PATIENCE_S), writers, cases)

    return ingest


def _print_summary(args: argparse.Namespace, counts: Counts, shards: int) -> None:
    if args.json:
        print_json(
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
    print_line(
        f"{counts.records} records of {shards} shards since {when(args.since)}: "
        f"{counts.stored} {would}stored"
        f", {sum(counts.quarantined.values())} {would}quarantined{f' ({bad})' if bad else ''}"
    )


@contextlib.contextmanager
def _progress(counts: Counts) -> Iterator[None]:
    """Show on a terminal how far the replay has come."""
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
