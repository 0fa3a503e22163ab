"""`ops void`: take events out of a product's history, by a `void` event on the stream.

Nothing is changed in place: what is taken out stays visible, with the void and its reason, and a void of the
void brings it back.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from ops import arguments
from ops.output import CommandError, counted, say, tell, tell_json
from ops.records import verdicts

if TYPE_CHECKING:
    from chalicelib.domain.events import Event
    from chalicelib.domain.voids import Voiding
    from chalicelib.tables.history import History, StoredEvent

EXAMPLES = """\
  # take one event out: its position stands in `python -m ops history SERIAL --json`
  python -m ops void SN-4F7K2M9Q --why "entered twice" \\
    --event 2024-06-09T21:15:00.000000Z#99a93f2bc0c4fb612fe937ede2c48367

  # look first: every event with this id, whatever comes with it later included
  python -m ops void SN-4F7K2M9Q --event-id e-4711 --why "a test of the dealer's" --dry-run

  # once, after an upgrade from a version without markers; goes on where it was stopped
  python -m ops void --backfill
"""


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "void", "take events out of a product's history", EXAMPLES)
    parser.add_argument("serial", metavar="SERIAL", nargs="?", help="the product; case matters")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--event", metavar="POSITION", help="the event to take out; may be a void")
    what.add_argument("--event-id", metavar="ID", help="take out every event with this id, but no void")
    what.add_argument(
        "--backfill", action="store_true", help="make the markers that an older version's voids lack"
    )
    parser.add_argument("--why", type=arguments.sentence, help="shown with what is taken out")
    parser.add_argument(
        "--who", type=arguments.sentence, help="for the void's metadata (the operating system's user)"
    )
    parser.add_argument(
        "--limit", type=arguments.positive, metavar="N", help="with --backfill: read at most N MB, then stop"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, write nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Send the void, or make missing markers; 1 when there is no such event."""
    _check(args)
    if args.backfill:
        return _backfill(args)
    from chalicelib.domain import instants
    from chalicelib.domain.voids import Voids
    from ops import clients

    history = clients.history()
    named = _named(history, args.serial, args.event, args.event_id)
    if not named:
        which = f"at {args.event}" if args.event else f"with the id {args.event_id!r}"
        raise CommandError(
            f"{args.serial} has no event {which}; `python -m ops history {args.serial} --json` shows what it "
            "has; case matters, and an event takes a moment to arrive",
            EXIT_FAILED,
        )
    now = instants.parse(instants.from_epoch_ms(round(time.time() * 1000)))
    marked = history.voids(args.serial)
    voids = Voids(now.prefix, marked.voids, are_all=marked.are_all)
    taken_out = {event.position: voiding for event in named if (voiding := voids.voiding(event))}
    if len(taken_out) == len(named):
        _tell(args, named, taken_out, None)
        return EXIT_OK
    # Dated no earlier than what it takes out: until a wrong clock's event comes, neither has.
    newest = max(named, key=lambda event: event.position)
    at = max((now.prefix, now.local), (newest.position, newest.occurred_at))[1]
    void, data = _void(args, at)
    if not args.dry_run:
        from chalicelib import settings

        clients.kinesis().put_record(StreamName=settings.stream_name(), Data=data, PartitionKey=args.serial)
    _tell(args, named, taken_out, void)
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    """Raise CommandError for options that do not go together, or that no event can have."""
    from chalicelib.domain import events
    from chalicelib.domain.voids import MAX_WHY

    if args.backfill:
        if args.serial is not None or args.why is not None or args.who is not None:
            raise CommandError("--backfill is about all products: no SERIAL, --why or --who", EXIT_USAGE)
        return
    if args.limit is not None:
        raise CommandError("--limit goes with --backfill", EXIT_USAGE)
    if args.serial is None or args.why is None:
        raise CommandError("name the product, and give the reason with --why", EXIT_USAGE)
    if not events.is_serial(args.serial):
        raise CommandError(f"serial: expected {events.SERIAL_RULE}, got {args.serial!r}", EXIT_USAGE)
    if args.event is not None and not events.is_position(args.event):
        raise CommandError(
            f"--event: expected a position, as `python -m ops history {args.serial} --json` shows it, got "
            f"{args.event!r}",
            EXIT_USAGE,
        )
    if len(args.why) > MAX_WHY:
        raise CommandError(f"--why: expected at most {MAX_WHY} characters, got {len(args.why)}", EXIT_USAGE)


def _named(
    history: "History", serial: str, position: str | None, event_id: str | None
) -> "list[StoredEvent]":
    """The events that the void would take out.  By id all of the product's events are read."""
    if position is not None:
        return history.page(serial, limit=1, since=position, until=position).events
    from chalicelib.domain.voids import VOID

    found: list[StoredEvent] = []
    page = history.page(serial, limit=None)
    while True:
        found += [event for event in page.events if event.event_id == event_id and event.type != VOID]
        if page.last_read is None:
            return found
        page = history.page(serial, limit=None, after=page.last_read)


def _void(args: argparse.Namespace, at: str) -> "tuple[Event, bytes]":
    """The void as an event, and as it goes onto the stream."""
    from chalicelib.domain import events

    named = {"position": args.event} if args.event is not None else {"event_id": args.event_id}
    wire = {
        "serial": args.serial,
        "type": "void",
        "occurred_at": at,
        "source": "ops",
        "metadata": {**named, "why": args.why, "who": verdicts.user(args.who)},
    }
    data = json.dumps(wire, ensure_ascii=False).encode()
    return events.decode(data), data


def _tell(
    args: argparse.Namespace,
    named: "Sequence[StoredEvent]",
    taken_out: "Mapping[str, Voiding]",
    void: "Event | None",
) -> None:
    """What becomes of each event, and how to bring it back."""
    verdict = "would be taken out" if args.dry_run else "taken out"
    for event in named:
        voiding = taken_out.get(event.position)
        if args.json:
            answer: dict[str, Any] = {
                "serial": args.serial,
                "event": event.position,
                "type": event.type,
                "verdict": verdict if voiding is None else "taken out already",
                "void": voiding.by if voiding is not None else void and void.position,
                "why": voiding.why if voiding is not None else args.why,
            }
            tell_json(answer)
        elif voiding is None:
            tell(f"{event.position}  {event.type} of {event.occurred_at}: {verdict}")
        else:
            because = f": {voiding.why}" if voiding.why else ""
            tell(
                f"{event.position}  {event.type} of {event.occurred_at}: taken out already by "
                f"{voiding.by}{because}"
            )
    if void is None:
        say("nothing sent")
    elif args.dry_run:
        say("nothing sent: --dry-run")
    else:
        say(
            f"the void is on the stream and shows in a moment; to bring back what it takes out:\n"
            f"python -m ops void {args.serial} --event {void.position} --why …"
        )


def _backfill(args: argparse.Namespace) -> int:
    from chalicelib import settings
    from ops import clients, void_markers

    done = void_markers.backfill(
        clients.client("dynamodb"), settings.history_table(), dry_run=args.dry_run, limit=args.limit
    )
    is_finished = done.finished_at_ms is not None
    if args.json:
        tell_json(
            {
                "dry_run": args.dry_run,
                "finished": is_finished,
                "items": done.items,
                "voids": done.voids,
                "missing": done.missing,
            }
        )
    else:
        made = "lack their markers" if args.dry_run else "lacked their markers, which are made"
        tell(
            f"{counted(done.items, 'item')} looked at: of {counted(done.voids, 'void')} {done.missing} {made}"
        )
    if not is_finished:
        say("stopped before the end; the same command goes on there")
    return EXIT_OK
