"""`ops dead-letters`: pointers to discarded batches that wait for triage, or that it could not finish."""

import argparse
import time
from typing import Any

from chalicelib import settings
from chalicelib.triage import invocation_record
from cli.arguments import Commands, positive
from cli.exits import EXIT_OK
from cli.output import to_stderr
from ops import arguments, clients
from ops.output import CommandError, duration, print_json, print_line, print_table, when
from ops.records import stream
from ops.records.queues import DeadLetter, Queue

LIST_EXAMPLES = """\
  # what waits, where its records lie, and how long the stream still holds them
  python -m ops dead-letters list

  # how many there are, without touching them: for a script or a screen that refreshes
  python -m ops dead-letters list --counts --json

looking costs something: SQS shows a message only to who receives it, and after 10 receives a message of the
dead-letter queue is parked. Triage needs one. A parked message is not lost: `dead-letters redrive` brings it
back, with all its receives. --counts costs nothing.
"""
REDRIVE_EXAMPLES = """\
  # what would go back to triage
  python -m ops dead-letters redrive --dry-run

  # try ten first
  python -m ops dead-letters redrive --limit 10
"""

#: More messages than this are counted, not shown, unless --limit says otherwise.
SHOWN = 100

#: What a message's pointers say, as JSON names it.
POINTERS = ("stream", "shard_id", "first", "last", "batch_size", "condition")

COLUMNS = (
    "queue",
    "sent",
    "age",
    "shard",
    "from",
    "to",
    "batch",
    "condition",
    "stream forgets in",
    "receives",
)


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    verbs = arguments.noun(nouns, "dead-letters", help)

    listing = arguments.command(
        verbs, "list", "list what waits in the two queues", LIST_EXAMPLES, run=run_list
    )
    listing.add_argument("--counts", action="store_true", help="only how many; receives nothing")
    listing.add_argument(
        "--limit",
        type=positive,
        default=SHOWN,
        metavar="N",
        help="of each queue at most (%(default)s)",
    )

    redriving = arguments.command(
        verbs,
        "redrive",
        "send parked messages back to the dead-letter queue",
        REDRIVE_EXAMPLES,
        run=run_redrive,
    )
    redriving.add_argument("--dry-run", action="store_true", help="show them, move nothing")
    redriving.add_argument("--limit", type=positive, metavar="N", help="at most N (all)")


def run_list(args: argparse.Namespace) -> int:
    """List what waits in the two queues."""
    queues = _queues()
    if args.counts:
        for queue in queues:
            if args.json:
                print_json({"queue": queue.name, "waiting": queue.waiting, "in_flight": queue.in_flight})
            else:
                print_line(f"{queue.name}: {queue.waiting} waiting, {queue.in_flight} in flight")
        return EXIT_OK
    retention_hours = _retention_hours()
    rows = []
    for queue in queues:
        letters: list[DeadLetter] = []
        try:
            for letter in queue.dead_letters(args.limit):
                letters.append(letter)
                facts = _as_json(queue, letter, retention_hours)
                if args.json:
                    print_json(facts)
                else:
                    rows.append(_row(facts))
        finally:
            for letter in letters:  # not earlier: SQS would hand out the same ones again
                queue.give_back(letter)
        to_stderr(
            f"{queue.name}: {len(letters)} shown, {max(0, queue.waiting - len(letters))} more waiting, "
            f"{queue.in_flight} in flight"
        )
        _print_cost(queue, letters)
    if rows:
        print_table(COLUMNS, rows)
    return EXIT_OK


def run_redrive(args: argparse.Namespace) -> int:
    """Send parked messages back to the dead-letter queue."""
    dead_letters, parking = _queues()
    retention_hours = _retention_hours()
    moved = 0
    looked_at: list[DeadLetter] = []
    # At most those that were there at the start: what triage fails on again is parked again.
    limit = min(args.limit or parking.waiting, parking.waiting)
    try:
        for letter in parking.dead_letters(limit) if limit else ():
            facts = _as_json(parking, letter, retention_hours)
            if args.json:
                print_json(facts)
            else:
                where = facts["fault"] or "{shard_id} {first}-{last}".format(**facts)
                print_line(f"{letter.message_id}  {where}")
            moved += 1
            if args.dry_run:
                looked_at.append(letter)
            else:
                parking.move(letter, dead_letters)
    finally:
        for letter in looked_at:
            parking.give_back(letter)
        if args.dry_run:
            to_stderr(f"{moved} would go back to {dead_letters.name}; nothing moved: --dry-run")
        else:
            to_stderr(f"{moved} moved from {parking.name} to {dead_letters.name}")
    return EXIT_OK


def _queues() -> tuple[Queue, Queue]:
    sqs = clients.sqs()
    return Queue(sqs, settings.dead_letter_queue()), Queue(sqs, settings.parking_queue())


def _retention_hours() -> int | None:
    try:
        return stream.retention_hours(clients.kinesis())
    except CommandError:
        to_stderr(
            f"the stream {settings.stream_name()} does not exist (any more), so no time is left to re-read "
            "anything"
        )
        return None


def _print_cost(queue: Queue, letters: list[DeadLetter]) -> None:
    if queue.max_receives is None or not letters:
        return
    to_stderr(f"looking counted as one of the {queue.max_receives} receives after which a message is parked")
    endangered = sum(letter.receives >= queue.max_receives for letter in letters)
    if endangered:
        to_stderr(
            f"{endangered} of them will be parked at the next receive; "
            "`dead-letters redrive` brings them back"
        )


def _as_json(queue: Queue, letter: DeadLetter, retention_hours: int | None) -> dict[str, Any]:
    pointers, hours_left = letter.pointers, None
    if pointers is not None and retention_hours is not None:
        hours_left = invocation_record.hours_left(pointers, retention_hours, time.time())
    return {
        "queue": queue.name,
        "message_id": letter.message_id,
        "sent_at": when(letter.sent_at_ms),
        "age_s": round(letter.age_s(), 1),
        "receives": letter.receives,
        "max_receives": queue.max_receives,
        **{name: getattr(pointers, name, None) for name in POINTERS},
        "hours_left": hours_left,
        "fault": letter.fault or None,
    }


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return a message's facts under COLUMNS."""
    of_most = "" if facts["max_receives"] is None else f"/{facts['max_receives']}"
    start = facts["queue"], facts["sent_at"], duration(facts["age_s"])
    receives = f"{facts['receives']}{of_most}"
    if facts["fault"]:
        return *start, "", "", "", "", facts["fault"], "", receives
    hours = facts["hours_left"]
    left = "unknown" if hours is None else "gone" if hours <= 0 else duration(hours * 3600)
    place = facts["shard_id"], facts["first"], facts["last"], str(facts["batch_size"]), facts["condition"]
    return *start, *place, left, receives
