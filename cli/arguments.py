"""Commands with examples in their help, and option values parsed from text.

A parser of values raises `argparse.ArgumentTypeError` with what is expected and what was given.
"""

import argparse
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # argparse has no public name for it
else:
    Commands = Any

_DURATION = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}

#: The largest whole number an option takes: 18 digits, enough for any count.
MAX_WHOLE = 10**18 - 1


def add_command(commands: Commands, name: str, help: str, examples: str = "") -> argparse.ArgumentParser:
    """Add a command whose help ends with `examples`."""
    return commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def whole_number(least: int = 0, most: int = MAX_WHOLE, what: str = "a whole number") -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`, written in ASCII digits."""
    expected = f"{what}, {least} or more" if most == MAX_WHOLE else f"{what} from {least} to {most}"

    def parse(text: str) -> int:
        # The length first: int() itself refuses more than 4,300 digits.
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_WHOLE))
        if not is_number or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text[:40]!r}")
        return int(text)

    return parse


def number(most: float, least: float | None = None, what: str = "a number") -> Callable[[str], float]:
    """Return a parser of numbers up to `most`, from `least`; above 0 where there is no `least`."""
    bounds = f"above 0, at most {most:.15g}" if least is None else f"from {least:g} to {most:.15g}"

    def parse(text: str) -> float:
        try:
            parsed = float(text)
        except ValueError:
            parsed = float("nan")  # within no bounds
        if not (parsed > 0 if least is None else parsed >= least) or not parsed <= most:
            raise argparse.ArgumentTypeError(f"expected {what} {bounds}, got {text[:40]!r}")
        return parsed

    return parse


def duration(least: str, most: str) -> Callable[[str], float]:
    """Return a parser of durations such as 100ms, 1s or 2m into seconds, with bounds written the same way."""
    bounds = _seconds(least), _seconds(most)

    def parse(text: str) -> float:
        seconds = _seconds(text)
        if not bounds[0] <= seconds <= bounds[1]:
            expected = f"a duration such as 500ms, 10s or 2m, from {least} to {most}"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text[:40]!r}")
        return seconds

    return parse


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _SECONDS[found[2]] if found else float("nan")


count = whole_number()
positive = whole_number(1)
share = number(1, least=0, what="a share")
rate = number(1_000_000, what="a rate in items per second")
