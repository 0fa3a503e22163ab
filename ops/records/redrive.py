"""Puts quarantined records back on the stream, and previews what would become of them.

The stream first, the state second: a crash in between leaves a duplicate, which changes nothing in the
history, and never a record that counts as redriven without being on the stream.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from chalicelib import settings
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.errors import RecordError
from chalicelib.ingest.isolate import BATCH, isolate
from chalicelib.ingest.writers import Writers
from chalicelib.stream import kpl
from chalicelib.stream.records import Record, deaggregate
from chalicelib.tables import items
from chalicelib.tables.cases import WITHOUT_RECORD, AuditEntry, Case
from chalicelib.tables.history import History
from chalicelib.tables.quarantine import Quarantine
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.output import to_stderr
from ops import clients
from ops.output import CommandError
from ops.records import verdicts
from ops.records.dry_run import NoHistory, NoQuarantine

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

WOULD_STORE = "would store"
ALREADY_STORED = "already stored"
STILL_INVALID = "still invalid"

#: For looking into an aggregate, in seconds; a megabyte of them takes less than one.
PATIENCE_S = 60.0

#: Kinesis refuses this one record, for a size above the stream's limit say; the next may be fine.
_REFUSES_THIS_RECORD = ("ValidationException", "InvalidArgumentException")


class RedrivePreview(msgspec.Struct, frozen=True):
    """What would become of a record if it came again; `serial` where it decodes."""

    verdict: str
    because: str = ""
    serial: str | None = None


class Redriven(msgspec.Struct, frozen=True):
    """Where a redriven record is on the stream; `was_open` False when its case was closed meanwhile."""

    place: str
    was_open: bool


class Outcome(msgspec.Struct, frozen=True):
    """The verdict on one id, and whether what was asked for could be done."""

    verdict: str
    because: str = ""
    is_done: bool = False


def why_not_redrivable(case: Case) -> str | None:
    """Return why this case cannot be redriven at all; None when it can."""
    if case.status != "open":
        last = f" by {case.trail[-1].who}" if case.trail else ""
        return f"it is {case.status} already{last}; only an open case can be redriven or discarded"
    if case.reason == "expired":
        return "the stream no longer held the records, so there is nothing to redrive; discard it when noted"
    if case.reason in WITHOUT_RECORD:
        return "it holds a dead-letter message and no record, so there is nothing to redrive; discard it"
    return None


def preview(data: bytes, table: History) -> RedrivePreview:
    """Return what ingest would do with `data` now.  Raises StorageError when the table does not answer."""
    record = Record(stream="", shard_id="", sequence_number="0", partition_key="", arrived_at_ms=0, data=data)
    if kpl.is_aggregate(data):
        return _preview_aggregate(record)
    try:
        event = events.decode(data)
        items.to_item(event, 0)
    except RecordError as exc:
        return RedrivePreview(STILL_INVALID, str(exc))
    except Exception as exc:  # the bug that quarantined the record may still be here
        return RedrivePreview(STILL_INVALID, f"the code still fails on it: {exc!r}")
    page = table.page(event.serial, limit=1, since=event.position, until=event.position)
    return RedrivePreview(ALREADY_STORED if page.events else WOULD_STORE, serial=event.serial)


def _preview_aggregate(record: Record) -> RedrivePreview:
    """Run the records of an aggregate through ingest; invalid while it would come back as it is."""
    kept, quarantined, cases = 0, Counter[str](), dict[str, int]()
    inside, writers = deaggregate(record), Writers(1)
    while batch := list(islice(inside, BATCH)):
        stored, failed = isolate(batch, NoHistory(), NoQuarantine(), Deadline(PATIENCE_S), writers, cases)
        kept += stored
        quarantined.update(failed)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(quarantined.items()))
    because = f"{kept} events in this aggregate, and in quarantine {reasons or 'nothing'}"
    if flaw := kpl.Aggregate(record.data).flaw:
        because = f"{flaw}; {because}"
    is_invalid = not kept or "invalid_aggregate" in quarantined
    return RedrivePreview(STILL_INVALID if is_invalid else WOULD_STORE, because)


def redrive(
    case: Case,
    corrected: bytes | None,
    serial: str | None,
    *,
    kinesis: "KinesisClient",
    stream: str,
    quarantine: Quarantine,
    who: str,
    clock: Callable[[], float] = time.time,
) -> Redriven:
    """Put a case's record, or its corrected text, on the stream and close the case.

    Raises ClientError when the stream refuses it, StorageError when the case could not be closed; then the
    record is on the stream and redriving it again is harmless.
    """
    answer = kinesis.put_record(
        StreamName=stream,
        Data=case.payload if corrected is None else corrected,
        PartitionKey=serial or case.partition_key,
    )
    place = f"{answer['ShardId']}/{answer['SequenceNumber']}"
    what = f"redriven to {place}" + ("" if corrected is None else " with a corrected text")
    moved = quarantine.move(case.id, "redriven", AuditEntry(round(clock() * 1000), who, what), corrected)
    return Redriven(place, was_open=moved)


def run(args: argparse.Namespace) -> int:
    """Run the verb.  Raises CommandError for options that exclude each other and an unreadable file."""
    corrected = _check_and_read_edit(args)
    quarantine = clients.quarantine()
    redriver = _Redriver(args, corrected, quarantine)
    are_done = True
    with verdicts.Verdicts(args, "nothing sent: --dry-run" if args.dry_run else "") as told:
        for id_ in _chosen(args, quarantine):
            outcome = redriver.outcome(id_)
            told.record(id_, outcome.verdict, outcome.because)
            are_done &= outcome.is_done
    return EXIT_OK if are_done else EXIT_FAILED


class _Redriver:
    """Redrives cases one by one, or previews that, as the options say."""

    def __init__(self, args: argparse.Namespace, corrected: bytes | None, quarantine: Quarantine) -> None:
        self._args = args
        self._corrected = corrected
        self._quarantine = quarantine
        self._table = clients.history()
        self._next_at = time.monotonic()

    def outcome(self, id_: str) -> Outcome:
        """Redrive a case and return what has become of it."""
        case = self._quarantine.get(id_)
        if case is None:
            return Outcome("no such case")
        if (why := why_not_redrivable(case)) is not None:
            return Outcome("cannot be redriven", why)
        future = preview(case.payload if self._corrected is None else self._corrected, self._table)
        if self._args.dry_run:
            return Outcome(future.verdict, future.because, is_done=True)
        if future.verdict == STILL_INVALID and not self._args.force:
            return Outcome(future.verdict, future.because)
        self._keep_to_the_rate()
        try:
            done = redrive(
                case,
                self._corrected,
                future.serial,
                kinesis=clients.kinesis(),
                stream=settings.stream_name(),
                quarantine=self._quarantine,
                who=verdicts.user(self._args.who),
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in _REFUSES_THIS_RECORD:
                raise
            return Outcome(verdict="refused by the stream", because=exc.response["Error"].get("Message", ""))
        note = "" if done.was_open else _note(id_, self._corrected is not None)
        return Outcome("redriven", f"to {done.place}{note}", is_done=True)

    def _keep_to_the_rate(self) -> None:
        if self._args.rate is not None:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            self._next_at = max(self._next_at, time.monotonic()) + 1 / self._args.rate


def _note(id_: str, is_corrected: bool) -> str:
    """Return what it means that the case was closed between reading and closing it here."""
    if not is_corrected:
        return "; somebody closed the case meanwhile, a duplicate changes nothing"
    return (
        f"; somebody closed the case meanwhile: `quarantine show {id_}` has what they did. If they "
        "sent another text, both are events now, and a void takes one out"
    )


def _chosen(args: argparse.Namespace, quarantine: Quarantine) -> list[str]:
    if not args.all:
        return list(dict.fromkeys(args.ids))
    # All of them before the first is sent: one that fails again is a new case, and it would never end.
    heads = list(quarantine.heads("open", reason=args.reason))
    chosen = [head.id for head in heads if head.reason not in WITHOUT_RECORD]
    if len(chosen) < len(heads):
        to_stderr(f"left alone: {len(heads) - len(chosen)} that hold no record; `quarantine list` shows them")
    return chosen[: args.limit]


def _check_and_read_edit(args: argparse.Namespace) -> bytes | None:
    if args.all == bool(args.ids):
        raise CommandError("name the records by ID, or say --all", EXIT_USAGE)
    if not args.all and (args.reason or args.limit):
        raise CommandError("--reason and --limit go with --all", EXIT_USAGE)
    if args.edit is None:
        return None
    if args.all or len(args.ids) != 1:
        raise CommandError("--edit corrects one record: name exactly one ID", EXIT_USAGE)
    try:
        corrected = sys.stdin.buffer.read() if args.edit == "-" else Path(args.edit).read_bytes()
    except OSError as exc:
        raise CommandError(
            f"cannot read {args.edit}: {exc.strerror}; `quarantine show ID --payload > FILE` writes one",
            EXIT_USAGE,
        ) from exc
    # Editors end a file with a line feed that is not meant; an aggregate's checksum may end with one that is.
    is_whole = kpl.is_aggregate(corrected) and not kpl.Aggregate(corrected).flaw
    return corrected if is_whole else corrected.rstrip(b"\r\n")
