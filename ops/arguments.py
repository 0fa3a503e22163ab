"""Options that the commands of `ops` share, and values of theirs parsed from text.

A noun is a module with `add(nouns, help)`, which adds its commands; each calls a function that takes the
parsed arguments and returns the exit code.
"""

import argparse
import re
import time
from collections.abc import Callable
from datetime import datetime

from chalicelib.domain import instants
from cli.arguments import Commands, add_command

_AGO = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def noun(nouns: Commands, name: str, help: str) -> Commands:
    """Add a noun, and return what takes its verbs."""
    parser = nouns.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    return parser.add_subparsers(dest="verb", required=True, metavar="VERB")


def command(
    commands: Commands, name: str, help: str, examples: str, *, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a command that calls `run`, with the options that every command of `ops` has."""
    parser = add_command(commands, name, help, examples)
    parser.set_defaults(run=run)
    parser.add_argument("--stage", metavar="NAME", help="the stage (LIFECYCLE_STAGE, otherwise local)")
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    return parser


def moment_ms(text: str) -> int:
    """Parse a time into epoch milliseconds: RFC 3339 with an offset, or an age such as 90s, 30m, 6h, 2d."""
    if ago := _AGO.fullmatch(text):
        return max(1, round((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1000))
    try:
        prefix = instants.parse(text).prefix
        return max(1, round(datetime.fromisoformat(f"{prefix[:26]}+00:00").timestamp() * 1000))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{exc}; or an age such as 30m, 6h, 2d") from exc


def sentence(text: str) -> str:
    """Parse a non-empty text."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a sentence, got nothing")
    return text.strip()
