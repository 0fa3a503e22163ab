"""`ops dead-letters`: pointers to given-up batches that wait for triage, or that it could not finish."""

import argparse
import contextlib
from typing import TYPE_CHECKING, Any

from cli.exits import EXIT_OK
from ops import arguments, output
from ops.output import duration, say, tell, tell_json, when

if TYPE_CHECKING:
    from ops.records.queues import Letter, Queue

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


def add(nouns: arguments.Commands) -> None:
    """Add the noun and its verbs to the command line."""
    noun = nouns.add_parser("dead-letters", help="batches that Lambda gave up on: list, redrive")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")

    listing = arguments.command(verbs, "list", "list what waits in the two queues", LIST_EXAMPLES)
    listing.add_argument("--counts", action="store_true", help="only how many; receives nothing")
    listing.add_argument(
        "--limit",
        type=arguments.positive,
        default=SHOWN,
        metavar="N",
        help="of each queue at most (%(default)s)",
    )
    listing.set_defaults(run=run_list)

    redriving = arguments.command(
        verbs, "redrive", "send parked messages back to the dead-letter queue", REDRIVE_EXAMPLES
    )
    redriving.add_argument("--dry-run", action="store_true", help="show them, move nothing")
    redriving.add_argument("--limit", type=arguments.positive, metavar="N", help="at most so many (all)")
    redriving.set_defaults(run=run_redrive)


def run_list(args: argparse.Namespace) -> int:
    """List what waits in the two queues."""
    queues = _queues()
    if args.counts:
        for queue in queues:
            if args.json:
                tell_json({"queue": queue.name, "waiting": queue.waiting, "in_flight": queue.in_flight})
            else:
                tell(f"{queue.name}: {queue.waiting} waiting, {queue.in_flight} in flight")
        return EXIT_OK
    retention_hours = _retention_hours()
    rows = []
    for queue in queues:
        shown = 0
        letters = []
        try:
            for letter in queue.letters(args.limit):
                letters.append(letter)
                shown += 1
                if args.json:
                    tell_json(_as_json(queue, letter, retention_hours))
                else:
                    rows.append(_row(queue, letter, retention_hours))
        finally:
            for letter in letters:
                queue.give_back(letter)
        say(
            f"{queue.name}: {shown} shown, {max(0, queue.waiting - shown)} more waiting, "
            f"{queue.in_flight} in flight"
        )
        _say_cost(queue, letters)
    if rows:
        output.table(
            (
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
            ),
            rows,
        )
    return EXIT_OK


def run_redrive(args: argparse.Namespace) -> int:
    """Send parked messages back to the dead-letter queue."""
    dead_letters, parking = _queues()
    retention_hours = _retention_hours()
    moved = 0
    looked_at: list[Letter] = []
    # At most those that were there at the start: what triage fails on again is parked again.
    limit = min(args.limit or parking.waiting, parking.waiting)
    try:
        for letter in parking.letters(limit) if limit else ():
            if args.json:
                tell_json(_as_json(parking, letter, retention_hours))
            else:
                pointers = letter.pointers
                where = (
                    letter.fault
                    if pointers is None
                    else f"{pointers.shard_id} {pointers.first}-{pointers.last}"
                )
                tell(f"{letter.message_id}  {where}")
            moved += 1
            if args.dry_run:
                looked_at.append(letter)
            else:
                parking.move(letter, dead_letters)
    finally:
        for letter in looked_at:  # not earlier: SQS would hand out the same ones again
            parking.give_back(letter)
        if args.dry_run:
            say(f"{moved} would go back to {dead_letters.name}; nothing moved: --dry-run")
        else:
            say(f"{moved} moved from {parking.name} to {dead_letters.name}")
    return EXIT_OK


def _queues() -> "tuple[Queue, Queue]":
    from chalicelib import settings
    from ops import clients
    from ops.records import queues

    sqs = clients.sqs()
    return queues.Queue(sqs, settings.dead_letter_queue()), queues.Queue(sqs, settings.parking_queue())


def _retention_hours() -> int | None:
    from chalicelib import settings
    from chalicelib.deadline import Deadline
    from chalicelib.errors import GoneError
    from chalicelib.stream import replay_reader
    from ops import clients

    stream = settings.stream_name()
    with contextlib.suppress(GoneError):
        return replay_reader.retention_hours(clients.kinesis(), stream, Deadline(5))
    say(f"the stream {stream} does not exist (any more), so no time is left to re-read anything")
    return None


def _say_cost(queue: "Queue", letters: "list[Letter]") -> None:
    if queue.max_receives is None or not letters:
        return
    say(f"looking counted as one of the {queue.max_receives} receives after which a message is parked")
    endangered = sum(letter.receives >= queue.max_receives for letter in letters)
    if endangered:
        say(
            f"{endangered} of them will be parked at the next receive; "
            "`dead-letters redrive` brings them back"
        )


def _hours_left(letter: "Letter", retention_hours: int | None) -> float | None:
    import time

    from chalicelib.triage import invocation_record as dead_letters

    if letter.pointers is None or retention_hours is None:
        return None
    return dead_letters.hours_left(letter.pointers, retention_hours, time.time())


def _row(queue: "Queue", letter: "Letter", retention_hours: int | None) -> tuple[str, ...]:
    from ops.records.queues import age_s

    hours = _hours_left(letter, retention_hours)
    receives = f"{letter.receives}" + ("" if queue.max_receives is None else f"/{queue.max_receives}")
    start = queue.name, when(letter.sent_at_ms), duration(age_s(letter))
    pointers = letter.pointers
    if pointers is None:
        return *start, "", "", "", "", letter.fault, "", receives
    left = "unknown" if hours is None else "gone" if hours <= 0 else duration(hours * 3600)
    return (
        *start,
        pointers.shard_id,
        pointers.first,
        pointers.last,
        str(pointers.batch_size),
        pointers.condition,
        left,
        receives,
    )


def _as_json(queue: "Queue", letter: "Letter", retention_hours: int | None) -> dict[str, Any]:
    from ops.records.queues import age_s

    pointers = letter.pointers
    return {
        "queue": queue.name,
        "message_id": letter.message_id,
        "sent_at": when(letter.sent_at_ms),
        "age_s": round(age_s(letter), 1),
        "receives": letter.receives,
        "max_receives": queue.max_receives,
        "stream": pointers and pointers.stream,
        "shard_id": pointers and pointers.shard_id,
        "first": pointers and pointers.first,
        "last": pointers and pointers.last,
        "batch_size": pointers and pointers.batch_size,
        "condition": pointers and pointers.condition,
        "hours_left": _hours_left(letter, retention_hours),
        "fault": letter.fault or None,
    }
