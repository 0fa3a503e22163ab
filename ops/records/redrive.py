"""Putting quarantined records back on the stream, and what would become of them.

The stream first, the state second: a crash in between leaves a duplicate, which the history does not notice,
and never a record that counts as redriven and is nowhere.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from chalicelib import settings
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.errors import RecordError
from chalicelib.ingest.isolate import isolate
from chalicelib.ingest.writers import Writers
from chalicelib.stream.records import Record, UserRecord, deaggregate
from chalicelib.tables import items
from chalicelib.tables.cases import WITHOUT_RECORD, Case, Deed
from chalicelib.tables.history import History
from chalicelib.tables.quarantine import Quarantine
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from ops import clients
from ops.output import CommandError, say
from ops.records import verdicts
from ops.records.dry_run import NoHistory, NoQuarantine

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

WOULD_STORE = "would store"
ALREADY_STORED = "already stored"
STILL_INVALID = "still invalid"

#: For looking into an aggregate, in seconds; a megabyte of them takes less than one.
PATIENCE_S = 60.0

#: Kinesis has something against this record, a size above the stream's limit say; the next may be fine.
_REFUSES_THIS_RECORD = ("ValidationException", "InvalidArgumentException")


class Prospect(msgspec.Struct, frozen=True):
    """What would become of a record if it came again; `serial` where it decodes."""

    verdict: str
    because: str = ""
    serial: str | None = None


class Redriven(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record lies on the stream now; `was_open` False when somebody closed its case meanwhile."""

    shard_id: str
    sequence_number: str
    partition_key: str
    was_open: bool


def obstacle(case: Case) -> str | None:
    """Why this case cannot be redriven at all; None when it can."""
    if case.status != "open":
        last = f" by {case.trail[-1].who}" if case.trail else ""
        return f"it is {case.status} already{last}; only an open case can be redriven or discarded"
    if case.reason == "expired":
        return "the stream no longer held the records, so there is nothing to redrive; discard it when noted"
    if case.reason in WITHOUT_RECORD:
        return "it holds a dead-letter message and no record, so there is nothing to redrive; discard it"
    return None


def prospect(data: bytes, table: History) -> Prospect:
    """What ingest would do with this data now.  Raises StorageError when the history does not answer."""
    record = Record(stream="", shard_id="", sequence_number="0", partition_key="", arrived_at_ms=0, data=data)
    inside = list(deaggregate(record))
    if isinstance(inside[0], UserRecord):
        return _prospect_of_an_aggregate(inside)
    try:
        event = events.decode(data)
        items.to_item(event, 0)
    except RecordError as exc:
        return Prospect(STILL_INVALID, str(exc))
    except Exception as exc:  # the bug that set the record aside may still be here
        return Prospect(STILL_INVALID, f"the code still fails on it: {exc!r}")
    page = table.page(event.serial, limit=1, since=event.position, until=event.position)
    return Prospect(ALREADY_STORED if page.events else WOULD_STORE, serial=event.serial)


def _prospect_of_an_aggregate(inside: Sequence[Record]) -> Prospect:
    """What would become of the records in it; invalid while the aggregate would come back as it is."""
    kept, quarantined = isolate(inside, NoHistory(), NoQuarantine(), Deadline(PATIENCE_S), Writers(1))
    cases = ", ".join(f"{count} {reason}" for reason, count in sorted(quarantined.items()))
    because = f"{kept} events in this aggregate, and in quarantine {cases or 'nothing'}"
    is_invalid = not kept or "invalid_aggregate" in quarantined
    return Prospect(STILL_INVALID if is_invalid else WOULD_STORE, because)


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
    partition_key = serial or case.partition_key
    answer = kinesis.put_record(
        StreamName=stream,
        Data=case.payload if corrected is None else corrected,
        PartitionKey=partition_key,
    )
    place = f"{answer['ShardId']}/{answer['SequenceNumber']}"
    what = f"redriven to {place}" + ("" if corrected is None else " with a corrected text")
    moved = quarantine.move(case.id, "redriven", Deed(round(clock() * 1000), who, what), corrected)
    return Redriven(
        shard_id=answer["ShardId"],
        sequence_number=answer["SequenceNumber"],
        partition_key=partition_key,
        was_open=moved,
    )


def run(args: argparse.Namespace) -> int:
    """The verb.  Raises CommandError for options that do not go together and an unreadable file."""
    corrected = _check_and_read_edit(args)
    quarantine, table = clients.quarantine(), clients.history()
    has_failed = False
    next_at = time.monotonic()
    with verdicts.Verdicts(args, "nothing sent: --dry-run" if args.dry_run else "") as told:
        for id_ in _chosen(args, quarantine):
            case = quarantine.get(id_)
            if case is None:
                told.tell(id_, "no such case")
                has_failed = True
                continue
            if (why := obstacle(case)) is not None:
                told.tell(id_, "cannot be redriven", why)
                has_failed = True
                continue
            future = prospect(case.payload if corrected is None else corrected, table)
            if args.dry_run:
                told.tell(id_, future.verdict, future.because)
                continue
            if future.verdict == STILL_INVALID and not args.force:
                told.tell(id_, future.verdict, future.because)
                has_failed = True
                continue
            if args.rate is not None:
                time.sleep(max(0.0, next_at - time.monotonic()))
                next_at = max(next_at, time.monotonic()) + 1 / args.rate
            try:
                done = redrive(
                    case,
                    corrected,
                    future.serial,
                    kinesis=clients.kinesis(),
                    stream=settings.stream_name(),
                    quarantine=quarantine,
                    who=verdicts.user(args.who),
                )
            except ClientError as exc:
                if exc.response["Error"]["Code"] not in _REFUSES_THIS_RECORD:
                    raise
                told.tell(id_, "refused by the stream", exc.response["Error"].get("Message", ""))
                has_failed = True
                continue
            note = "" if done.was_open else _note(id_, corrected is not None)
            told.tell(id_, "redriven", f"to {done.shard_id}/{done.sequence_number}{note}")
    return EXIT_FAILED if has_failed else EXIT_OK


def _note(id_: str, is_corrected: bool) -> str:
    """What it means that somebody closed the case between our look at it and our closing it."""
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
        say(f"left alone: {len(heads) - len(chosen)} that hold no record; `quarantine list` shows them")
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
    # Editors end a file with a line feed that nobody means.
    return corrected.rstrip(b"\r\n")
