"""What the command lines of all nouns share: common options, and values parsed from text.

A noun is a module with `add(nouns)`, which adds its parser and sets `run` to the function that does the
work: `run(args) -> exit code`.
"""

import argparse
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain import instants
from ops.planning import capacity

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # argparse has no public name for it
else:
    Commands = Any

_AGO = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

#: Digits of the largest whole number that is taken: enough for any count, and none is cut off.
_DIGITS = 18


def command(
    commands: Commands, name: str, help: str, examples: str = "", **more: Any
) -> argparse.ArgumentParser:
    """A parser with the options that every command has, its help ending with examples."""
    parser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **more,
    )
    parser.add_argument("--stage", metavar="NAME", help="whose stack (LIFECYCLE_STAGE, otherwise local)")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    return parser


def moment_ms(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time with an offset, or of so long ago: 90s, 30m, 6h, 2d."""
    if ago := _AGO.fullmatch(text):
        return max(1, round((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1000))
    try:
        prefix = instants.parse(text).prefix
        return max(1, round(datetime.fromisoformat(f"{prefix[:26]}+00:00").timestamp() * 1000))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{exc}; or so long ago, such as 30m, 6h, 2d") from exc


def positive(text: str) -> int:
    """A whole number from 1, of at most 18 digits."""
    if not text.isascii() or not text.isdigit() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {text[:40]!r}")
    if len(text) > _DIGITS:
        raise argparse.ArgumentTypeError(f"expected at most {_DIGITS} digits, got {len(text)}")
    return int(text)


def number(
    group: "argparse._ActionsContainer",
    name: str,
    help: str,
    default: float | None = None,
    *,
    whole: bool = False,
    least: float | None = None,
    most: float = 1e13,
) -> None:
    """An option that is a number within bounds; above 0 unless `least` says otherwise."""
    kind = int if whole else float

    def parse(text: str) -> float:
        try:
            parsed = kind(text)
        except ValueError as exc:
            expected = "a whole number" if whole else "a number"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text[:40]!r}") from exc
        is_enough = parsed > 0 if least is None else parsed >= least
        if not (is_enough and parsed <= most):
            floor = "more than 0" if least is None else f"{least:g} or more"
            raise argparse.ArgumentTypeError(f"expected {floor}, at most {most:.15g}, got {text[:40]}")
        return parsed

    shown = help if default is None else f"{help} ({default:g})"
    group.add_argument(name, type=parse, default=default, metavar="N", help=shown)


def event_bytes(text: str) -> int:
    """The size of an event that the table can hold."""
    number = positive(text)
    if number > capacity.MAX_EVENT_BYTES:
        raise argparse.ArgumentTypeError(
            f"expected at most {capacity.MAX_EVENT_BYTES:,}, got {text}: a DynamoDB item holds "
            f"{capacity.MAX_ITEM_BYTES:,} bytes, {capacity.ITEM_OVERHEAD_BYTES} of which are not the "
            "event's; larger ones end in quarantine"
        )
    return number


def rate(text: str) -> float:
    """So many a second."""
    try:
        number = float(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from exc
    if not 0 < number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected more than 0 a second, at most 1000000, got {text!r}")
    return number


def sentence(text: str) -> str:
    """A text that says something."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a sentence, got nothing")
    return text.strip()
