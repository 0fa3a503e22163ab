"""The tables of docs/performance.md, written from a run's lines so that they cannot drift from it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Line

NAME = "performance.md"

# What stands between these belongs to this module.
_TABLE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write(lines: Sequence[Line], directory: Path) -> Iterator[Path]:
    """Replace the tables in the directory's performance.md, if it has one; yields its path."""
    path = directory / NAME
    if path.is_file():
        path.write_text(filled(path.read_text(encoding="utf-8"), lines), encoding="utf-8")
        yield path


def filled(text: str, lines: Sequence[Line]) -> str:
    """The document with the table of each benchmark that was run."""

    def table(match: re.Match[str]) -> str:
        of = [line for line in lines if line["benchmark"] == match[2]]
        return f"{match[1]}\n{markdown(of)}\n{match[3]}" if of else match[0]

    return _TABLE.sub(table, text)


def markdown(lines: Sequence[Line]) -> str:
    """A table of lines: medians, and between which values the runs lay where they differ."""
    columns = list(
        dict.fromkeys(name for line in lines for name in line if name not in ("benchmark", "each"))
    )
    rows = [columns, ["---"] * len(columns)]
    for line in lines:
        rows.append([_cell(line.get(name), line.get("each", {}).get(name)) for name in columns])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(value: object, each: Sequence[float] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if not isinstance(value, int | float):
        return str(value)
    if each is None or min(each) == max(each):
        return number(value)
    return f"{number(value)} ({number(min(each))}–{number(max(each))})"


def number(value: float) -> str:
    """A figure as people read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
