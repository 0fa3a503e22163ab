"""`python -m producer`: the command line of the producer.  What it does is in send.py."""

if __name__ == "__main__":
    from cli.command import run_and_exit

    run_and_exit("producer")

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone

from chalicelib.domain import instants
from chalicelib.errors import ConfigurationError
from cli.arguments import count, positive, rate, share
from cli.exits import EXIT_FAILED, EXIT_USAGE
from cli.output import to_stderr

EXAMPLES = """\
examples:
  # 1,000 events of 50 products, the same ones every time
  python -m producer send --events 1000 --products 50 --seed 42 --now 2026-11-20T12:00:00Z

  # a burst with what happens to bursts: duplicates, no order, records that nobody can read
  python -m producer send --events 2000 --duplicates 0.02 --shuffle --poison 5

  # 200 events a second until Ctrl-C
  python -m producer send --forever --rate 200

  # a recorded file in somebody else's field names; keep the summary
  python -m producer send --from old.ndjson --map serial=sn --map occurred_at=timestamp --json > summary.json

  # a table from a spreadsheet, through a pipe
  cat recorded.csv | python -m producer send --from - --format csv --map serial=sn

  # what a trading partner reports: one event for each serialized thing that is named
  python -m producer send --from shipment.jsonld --format epcis

  # as much as the shards take: many events in one record
  python -m producer send --events 100000 --aggregate

  # look before sending
  python -m producer send --events 3 --dry-run

exit codes:
  0    every event was accepted by the stream
  1    some were refused for good (they are in the rejects file), or lines of the input are no events
  2    the command line or the input file is unusable, or standard output is closed
  3    the stream could not be reached or written to
  130  Ctrl-C: what had been read was sent, the summary says how much
"""

#: Events before this could not have been reported by anything that speaks JSON.
EARLIEST_NOW = datetime(1990, 1, 1, tzinfo=timezone.utc)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = parser().parse_args(argv)
    from producer import send  # boto3, faker and rich: not for --help

    try:
        return send.run(args)
    except ConfigurationError as exc:
        to_stderr(f"error: {exc}")
        return EXIT_USAGE
    except OSError as exc:
        to_stderr(f"error: {exc.filename or 'output'}: {exc.strerror}")
        return EXIT_FAILED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m producer",
        description="Put lifecycle events on the stream.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    send = commands.add_parser(
        "send",
        help="send generated or recorded events",
        description="Send generated or recorded lifecycle events.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = send.add_argument_group("generated events")
    what.add_argument("--events", type=count, metavar="N", help="how many (1000; with --from: at most N)")
    what.add_argument(
        "--products", type=positive, metavar="N", help="how many products (a tenth of the events)"
    )
    what.add_argument(
        "--seed", type=count, metavar="S", help="the same seed and --now give the same events (random)"
    )
    what.add_argument("--now", type=_moment, metavar="TIME", help="RFC 3339; no event is later (the present)")
    what.add_argument("--forever", action="store_true", help="until Ctrl-C; needs --rate")

    recorded = send.add_argument_group("recorded events")
    recorded.add_argument(
        "--from", dest="source", metavar="FILE", help="a file of events, - for standard input"
    )
    recorded.add_argument(
        "--format",
        choices=("ndjson", "csv", "epcis"),
        help="epcis: GS1 EPCIS 2.0, JSON or JSON-LD (by the file's name, otherwise ndjson)",
    )
    recorded.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=NAME",
        help="our field and the file's name for it, such as serial=sn; may be repeated; fields that are "
        "neither mapped nor ours become metadata",
    )

    arrival = send.add_argument_group("arrival")
    arrival.add_argument(
        "--duplicates", type=share, default=0.0, metavar="SHARE", help="share that is sent twice (0)"
    )
    arrival.add_argument(
        "--poison", type=count, default=0, metavar="N", help="records that are no events (0)"
    )
    arrival.add_argument(
        "--shuffle", action="store_true", help="in no order at all; holds everything in memory"
    )
    arrival.add_argument(
        "--rate", type=rate, metavar="R", help="records a second (as fast as the stream takes them)"
    )
    arrival.add_argument(
        "--unordered",
        action="store_true",
        help="faster where few products have most of the events; when the stream refuses some, order is lost",
    )
    arrival.add_argument(
        "--aggregate",
        action="store_true",
        help="many events in one record (KPL format, 25 KB): a shard takes more of them, for less money",
    )

    where = send.add_argument_group("where to")
    where.add_argument("--stage", metavar="NAME", help="whose stream (LIFECYCLE_STAGE, otherwise local)")
    where.add_argument("--stream", metavar="NAME", help="another stream than the stage's")
    where.add_argument("--dry-run", action="store_true", help="print the records on standard output instead")
    where.add_argument(
        "--rejects", metavar="FILE", help="what is refused for good goes here (rejects-<time>.ndjson)"
    )
    where.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return top


def _moment(text: str) -> datetime:
    try:
        utc = instants.parse(text).utc
        moment = datetime.fromisoformat(utc[:19]).replace(tzinfo=timezone.utc)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
    if moment < EARLIEST_NOW:
        raise argparse.ArgumentTypeError(f"expected 1990 or later, got {text!r}")
    return moment
