"""The tables of docs/performance.md, and the run beside it that they are of: written together."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness.measure import Line

NAME = "performance.md"

# What stands between these belongs to this module.
_TABLE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write(lines: Sequence[Line], directory: Path) -> Iterator[Path]:
    """Replace the tables in the directory's performance.md, if it has one; a run that has them all is kept.

    Yields what was written.
    """
    path = directory / NAME
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    path.write_text(filled(text, lines), encoding="utf-8")
    yield path
    if {match[2] for match in _TABLE.finditer(text)} <= {line["benchmark"] for line in lines}:
        kept = path.with_suffix(".ndjson")
        kept.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        yield kept


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
