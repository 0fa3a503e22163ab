"""What `ops` prints: tables and sentences on a terminal, JSON lines for programs.

Text from outside is made harmless before it reaches a terminal: a payload may hold escape sequences.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from chalicelib.domain import instants
from cli.output import printable

#: Where output goes into a file or a pipe, a row stays one line.
_UNWRAPPED = 100_000


class CommandError(Exception):
    """A command cannot do what was asked: a sentence with the remedy, and the exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def print_line(text: str) -> None:
    """Print a line of the answer; at once, because a pipe's reader may wait for it (`tail`)."""
    print(printable(text, "\n"), flush=True)


def print_json(answer: dict[str, Any]) -> None:
    """Print the answer, or one of several, as one line of JSON."""
    print_json_text(json.dumps(answer, ensure_ascii=False))


def print_json_text(text: str) -> None:
    """Print a line of JSON that is text already, its numbers spelled as they were sent.

    What a terminal would obey is written in JSON's own escapes, which read back the same.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    print(text, flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings; nothing is cut off, so that ids can be copied."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _UNWRAPPED)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    if console.is_terminal:
        console.print(grid)
        return
    with console.capture() as drawn:
        console.print(grid)
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def counted(count: int, what: str) -> str:
    """Return the count with its noun, which takes an s unless the count is one."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def when(epoch_ms: float | None) -> str:
    """Return a moment as RFC 3339 in UTC, with milliseconds; empty for None."""
    if epoch_ms is None:
        return ""
    return instants.from_epoch_ms(int(epoch_ms))


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that is precise enough: 45 s, 12 min, 5.5 h, 3.2 d."""
    for size, unit, digits in ((86400, "d", 1), (3600, "h", 1), (60, "min", 0)):
        if abs(seconds) >= size * (2 if size == 86400 else 1):
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
