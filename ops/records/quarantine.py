"""`ops quarantine`: lists, shows, redrives and discards quarantined records."""

import argparse
import base64
import sys
import time
from typing import Any

from chalicelib.tables.cases import STATUSES, AuditEntry, Case, Head
from cli.arguments import Commands, positive, rate
from cli.exits import EXIT_FAILED, EXIT_OK
from cli.output import printable, to_stderr
from ops import arguments, clients
from ops.output import CommandError, print_json, print_line, print_table, when
from ops.records import payload, redrive, verdicts

LIST_EXAMPLES = """\
  # what waits for a decision, oldest first
  python -m ops quarantine list

  # what a broken producer has sent in the last six hours, for a program
  python -m ops quarantine list --reason not_json --since 6h --json

  # what has been thrown away, by whom and why
  python -m ops quarantine list --status discarded
"""
SHOW_EXAMPLES = """\
  # one record: what it is, what is wrong with it and where, who did what about it
  python -m ops quarantine show ID

  # its exact bytes into a file, to correct them
  python -m ops quarantine show ID --payload > record.json
"""
REDRIVE_EXAMPLES = """\
  # what would become of everything that failed on a bug, now that it is fixed
  python -m ops quarantine redrive --all --reason handler_error --dry-run

  # send it again, gently
  python -m ops quarantine redrive --all --reason handler_error --limit 1000 --rate 50

  # one record with its corrected text; the original is kept
  python -m ops quarantine redrive ID --edit record.json
"""
DISCARD_EXAMPLES = """\
  # not worth keeping, and why
  python -m ops quarantine discard ID --why "a test of the dealer's"
"""


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    verbs = arguments.noun(nouns, "quarantine", help)

    listing = arguments.command(verbs, "list", "list cases, oldest first", LIST_EXAMPLES, run=run_list)
    listing.add_argument("--status", choices=STATUSES, default="open", help="(%(default)s)")
    listing.add_argument("--reason", metavar="CODE", help="only with this reason, such as not_json")
    listing.add_argument(
        "--since",
        type=arguments.moment_ms,
        default=0,
        metavar="T",
        help="arrived since: RFC 3339, or 30m, 6h, 2d",
    )

    showing = arguments.command(verbs, "show", "show one case whole", SHOW_EXAMPLES, run=run_show)
    showing.add_argument("id", metavar="ID")
    showing.add_argument(
        "--payload",
        action="store_true",
        help="write the payload's exact bytes to standard output, nothing else",
    )

    redriving = arguments.command(
        verbs, "redrive", "put records back on the stream", REDRIVE_EXAMPLES, run=run_redrive
    )
    redriving.add_argument("ids", metavar="ID", nargs="*")
    redriving.add_argument("--all", action="store_true", help="every open case that holds a record")
    redriving.add_argument("--reason", metavar="CODE", help="with --all: only with this reason")
    redriving.add_argument("--limit", type=positive, metavar="N", help="with --all: at most N")
    redriving.add_argument("--rate", type=rate, metavar="R", help="at most R records per second")
    redriving.add_argument(
        "--edit", metavar="FILE", help="send this text instead, - for standard input; one ID"
    )
    redriving.add_argument("--force", action="store_true", help="send what is still invalid here, too")
    redriving.add_argument("--dry-run", action="store_true", help="say what each would become, send nothing")
    redriving.add_argument(
        "--who", type=arguments.sentence, help="for the audit trail (the operating system's user)"
    )

    discarding = arguments.command(
        verbs, "discard", "close cases for good, with the reason", DISCARD_EXAMPLES, run=run_discard
    )
    discarding.add_argument("ids", metavar="ID", nargs="+")
    discarding.add_argument("--why", type=arguments.sentence, required=True, help="for the audit trail")
    discarding.add_argument(
        "--who", type=arguments.sentence, help="for the audit trail (the operating system's user)"
    )


def run_list(args: argparse.Namespace) -> int:
    """List cases: a table, or a line of JSON each."""
    heads = clients.quarantine().heads(args.status, reason=args.reason, since_ms=args.since)
    rows = []
    for head in heads:
        if args.json:
            print_json(_as_json(head))
        gist = _gist(head.sentence)
        rows.append((head.id, when(head.arrived_at_ms), head.partition_key, head.reason, gist))
    if rows and not args.json:
        print_table(("id", "arrived", "partition key", "reason", "what is wrong"), rows)
    to_stderr(f"{len(rows)} {args.status}")
    return EXIT_OK


def run_show(args: argparse.Namespace) -> int:
    """Show one case, or write its payload."""
    case = _case(args.id)
    if args.payload:
        sys.stdout.buffer.write(case.payload)
        return EXIT_OK
    if args.json:
        print_json(_as_json(case) | _bytes_as_json("payload", case.payload))
        return EXIT_OK
    print_line(f"id             {case.id}")
    print_line(f"status         {case.status}")
    print_line(f"arrived        {when(case.arrived_at_ms)}")
    print_line(f"partition key  {printable(case.partition_key)}")
    print_line(f"reason         {case.reason}")
    for line in case.sentence.rstrip().splitlines():
        print_line(f"               {line}")
    for entry in case.trail:
        print_line(f"trail          {when(entry.at_ms)} {printable(entry.who)}: {printable(entry.what)}")
    print_line(f"payload        {len(case.payload)} bytes")
    for line in payload.shown(case.payload, case.sentence):
        print_line(line)
    if case.corrected is not None:
        print_line(f"corrected      {len(case.corrected)} bytes, what went on the stream instead")
        for line in payload.shown(case.corrected, ""):
            print_line(line)
    return EXIT_OK


def run_redrive(args: argparse.Namespace) -> int:
    """Put records back on the stream, or say what would become of them."""
    return redrive.run(args)


def run_discard(args: argparse.Namespace) -> int:
    """Close cases for good."""
    quarantine = clients.quarantine()
    with verdicts.Verdicts(args) as told:
        for id_ in dict.fromkeys(args.ids):
            entry = AuditEntry(round(time.time() * 1000), verdicts.user(args.who), f"discarded: {args.why}")
            if quarantine.move(id_, "discarded", entry):
                told.record(id_, "discarded")
                continue
            case = quarantine.get(id_)
            if case is None:
                told.record(id_, "no such case")
            else:
                told.record(id_, "cannot be discarded", f"it is {case.status} already")
    return EXIT_OK if told.count("discarded") == len(set(args.ids)) else EXIT_FAILED


def _case(id_: str) -> Case:
    case = clients.quarantine().get(id_) if id_ else None
    if case is None:
        raise CommandError(
            f"no case {id_!r}; `python -m ops quarantine list` shows what there is", EXIT_FAILED
        )
    return case


def _gist(sentence: str) -> str:
    """Return a sentence on one line; of a traceback its last line."""
    lines = sentence.strip().splitlines()
    return (lines[-1] if lines and lines[0].startswith("Traceback") else " ".join(lines))[:300]


def _as_json(head: Head) -> dict[str, Any]:
    return {
        "id": head.id,
        "status": head.status,
        "reason": head.reason,
        "sentence": head.sentence,
        "partition_key": head.partition_key,
        "arrived_at": when(head.arrived_at_ms),
        "trail": [{"at": when(entry.at_ms), "who": entry.who, "what": entry.what} for entry in head.trail],
    }


def _bytes_as_json(name: str, data: bytes) -> dict[str, Any]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    return {f"{name}_text": text, f"{name}_base64": base64.b64encode(data).decode()}
