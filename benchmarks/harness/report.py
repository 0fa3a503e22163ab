"""Lines of figures as tables for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.harness.document import number
from benchmarks.harness.measure import Line


def show(lines: Sequence[Line]) -> None:
    """Print lines of one benchmark as a table: medians, and the spread behind each."""
    if not lines:
        return
    each = [line.get("each", {}) for line in lines]
    columns = list(
        dict.fromkeys(name for line in lines for name in line if name not in ("benchmark", "each"))
    )
    table = Table(title=lines[0]["benchmark"], title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if isinstance(lines[0].get(name), str) else "right")
    for line, runs in zip(lines, each, strict=True):
        table.add_row(*(_cell(line.get(name), runs.get(name)) for name in columns))
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file has no edge
    console.print(table)


def _cell(value: object, each: list[float] | None) -> str:
    if value is None:
        return ""
    text = number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    if each is None or min(each) == max(each):
        return text
    return f"{text} ({number(min(each))} to {number(max(each))})"
