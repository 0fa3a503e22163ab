"""`ops void`: takes events out of a product's history, by a `void` event on the stream.

Nothing is changed in place: what is taken out stays visible, with the void and its reason, and a void of the
void brings it back.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence

from chalicelib import settings
from chalicelib.api import queries
from chalicelib.domain import events, instants
from chalicelib.domain.events import Event
from chalicelib.domain.voids import MAX_WHY, VOID, Voiding, Voids
from chalicelib.errors import InvalidRequestError
from chalicelib.tables.history import History, StoredEvent
from cli.arguments import Commands, positive
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.output import to_stderr
from ops import arguments, clients, void_markers
from ops.output import CommandError, counted, print_json, print_line
from ops.records import verdicts

EXAMPLES = """\
  # take one event out: its position stands in `python -m ops history SERIAL --json`
  python -m ops void SN-4F7K2M9Q --event POSITION --why "entered twice"

  # look first: every event with this id, whatever comes with it later included
  python -m ops void SN-4F7K2M9Q --event-id e-4711 --why "a test of the dealer's" --dry-run

  # once, after an upgrade from a version without markers; goes on where it was stopped
  python -m ops void --backfill
"""


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "void", help, EXAMPLES, run=run)
    parser.add_argument(
        "serial", metavar="SERIAL", nargs="?", help="the product's serial number, or its EPC; case matters"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--event", metavar="POSITION", help="the event to take out; may be a void")
    what.add_argument("--event-id", metavar="ID", help="take out every event with this id, but no void")
    what.add_argument(
        "--backfill", action="store_true", help="make the markers that an older version's voids lack"
    )
    parser.add_argument("--why", type=arguments.sentence, help="the reason, shown with what is taken out")
    parser.add_argument(
        "--who", type=arguments.sentence, help="for the void's metadata (the operating system's user)"
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="with --backfill: read at most N MB, then stop"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, write nothing")


def run(args: argparse.Namespace) -> int:
    """Send the void, or make missing markers; 1 when there is no such event."""
    _check(args)
    if args.backfill:
        return _backfill(args)
    history = clients.history()
    serial, named = _named(history, args)
    now = instants.parse(instants.from_epoch_ms(round(time.time() * 1000)))
    marked = history.voids(serial)
    voids = Voids(now.prefix, marked.voids, are_all=marked.are_all)
    taken_out = {event.position: voiding for event in named if (voiding := voids.voiding(event))}
    void = None
    if len(taken_out) < len(named):
        # Dated no earlier than what it takes out: until a wrong clock's event comes, neither has.
        newest = max(named, key=lambda event: event.position)
        at = newest.occurred_at if newest.position > now.prefix else now.local
        void, data = _void(args, serial, at)
        if not args.dry_run:
            clients.kinesis().put_record(StreamName=settings.stream_name(), Data=data, PartitionKey=serial)
    _print(args, named, taken_out, void)
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    """Raise CommandError for options that do not go together, or that no event can have."""
    if args.backfill:
        if args.serial is not None or args.why is not None or args.who is not None:
            raise CommandError("--backfill is about all products: no SERIAL, --why or --who", EXIT_USAGE)
        return
    if args.limit is not None:
        raise CommandError("--limit goes with --backfill", EXIT_USAGE)
    if args.serial is None or args.why is None:
        raise CommandError("name the product, and give the reason with --why", EXIT_USAGE)
    if args.event is not None and not events.is_position(args.event):
        raise CommandError(
            f"--event: expected a position, as `python -m ops history {args.serial} --json` shows it, got "
            f"{args.event!r}",
            EXIT_USAGE,
        )
    if len(args.why) > MAX_WHY:
        raise CommandError(f"--why: expected at most {MAX_WHY} characters, got {len(args.why)}", EXIT_USAGE)


def _named(history: History, args: argparse.Namespace) -> tuple[str, list[StoredEvent]]:
    """Return the serial that the product is stored under, and the events that the void would take out."""
    try:
        for serial in queries.serials_of(args.serial):
            found = (
                history.page(serial, limit=1, since=args.event, until=args.event).events
                if args.event is not None
                else _with_id(history, serial, args.event_id)
            )
            if found:
                return serial, found
    except InvalidRequestError as exc:
        raise CommandError(str(exc), EXIT_USAGE) from exc
    which = f"at {args.event}" if args.event is not None else f"with the id {args.event_id!r}"
    raise CommandError(
        f"{args.serial} has no event {which}; `python -m ops history {args.serial} --json` shows its events: "
        "case matters, and an event takes a moment to arrive",
        EXIT_FAILED,
    )


def _with_id(history: History, serial: str, event_id: str) -> list[StoredEvent]:
    """Read all of a product's events for those that a void by this id takes out."""
    found: list[StoredEvent] = []
    page = history.page(serial, limit=None)
    while True:
        found += [event for event in page.events if event.event_id == event_id and event.type != VOID]
        if page.last_read is None:
            return found
        page = history.page(serial, limit=None, after=page.last_read)


def _void(args: argparse.Namespace, serial: str, at: str) -> tuple[Event, bytes]:
    """Return the void as an event, and as it goes onto the stream."""
    named = {"position": args.event} if args.event is not None else {"event_id": args.event_id}
    wire = {
        "serial": serial,
        "type": VOID,
        "occurred_at": at,
        "source": "ops",
        "metadata": {**named, "why": args.why, "who": verdicts.user(args.who)},
    }
    data = json.dumps(wire, ensure_ascii=False).encode()
    return events.decode(data), data


def _print(
    args: argparse.Namespace,
    named: Sequence[StoredEvent],
    taken_out: Mapping[str, Voiding],
    void: Event | None,
) -> None:
    """Print what becomes of each event, and how to bring it back."""
    for event in named:
        voiding = taken_out.get(event.position)
        if voiding is None:
            verdict = "would be taken out" if args.dry_run else "taken out"
            by, why = void.position if void is not None else None, args.why
        else:
            verdict, by, why = "taken out already", voiding.by, voiding.why
        if args.json:
            print_json(
                {
                    "serial": event.serial,
                    "event": event.position,
                    "type": event.type,
                    "verdict": verdict,
                    "void": by,
                    "why": why,
                }
            )
        else:
            already = "" if voiding is None else f" by {by}{f': {why}' if why else ''}"
            print_line(f"{event.position}  {event.type} of {event.occurred_at}: {verdict}{already}")
    if void is None:
        to_stderr("nothing sent")
    elif args.dry_run:
        to_stderr("nothing sent: --dry-run")
    else:
        to_stderr(
            "the void is on the stream and shows in a moment; to bring back what it takes out:\n"
            f"python -m ops void {void.serial} --event {void.position} --why …"
        )


def _backfill(args: argparse.Namespace) -> int:
    done = void_markers.backfill(
        clients.client("dynamodb"), settings.history_table(), dry_run=args.dry_run, limit=args.limit
    )
    is_finished = done.finished_at_ms is not None
    if args.json:
        figures = {"items": done.items, "voids": done.voids, "missing": done.missing}
        print_json({"dry_run": args.dry_run, "finished": is_finished, **figures})
    else:
        made = "lack their markers" if args.dry_run else "lacked their markers, which are made"
        looked = f"{counted(done.items, 'item')} looked at"
        print_line(f"{looked}: of {counted(done.voids, 'void')} {done.missing} {made}")
    if not is_finished:
        to_stderr("stopped before the end; the same command goes on there")
    return EXIT_OK
