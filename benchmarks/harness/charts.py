"""The charts of docs/performance.md, drawn from a run's lines.

Bars on a logarithmic scale, because the contenders lie two orders of magnitude apart.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks.harness.measure import Line

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 820, 22, 210, 90, 44


class Bar(NamedTuple):
    """One bar: its name, its value, and whether it is ours."""

    name: str
    value: float
    is_ours: bool


def write(lines: Sequence[Line], directory: Path) -> Iterator[Path]:
    """Write the charts that these lines are enough for; yields each file's path."""
    rate = _bars(lines, "ingest", "events_per_second", latency_ms=5)
    if rate:
        yield _written(
            directory / "ingest.svg", "Ingest with 5 ms of DynamoDB latency: events a second", rate
        )
    cpu = _bars(lines, "ingest", "cpu_us_per_event", latency_ms=0)
    if cpu:
        yield _written(directory / "cpu.svg", "CPU an event, µs", cpu)
    memory = [
        Bar(f"{line['memory_mb']} MB", line["p50_ms_of_500_records"], True)
        for line in lines
        if line["benchmark"] == "memory"
    ]
    if memory:
        title = "A Lambda event of 500 records at Lambda's CPU share, ms"
        yield _written(directory / "memory.svg", title, memory)


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """An SVG document of these bars, the values written beside them.  Values are above 0."""
    height = _TOP + _ROW * len(bars) + 12
    least = 10 ** math.floor(math.log10(min(bar.value for bar in bars)) - 0.3)
    decades = math.log10(max(bar.value for bar in bars) / least)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="24" font-size="14" font-weight="bold">{escape(title)}'
        '<tspan font-size="11" font-weight="normal">  (logarithmic)</tspan></text>',
    ]
    for number, bar in enumerate(bars):
        y = _TOP + _ROW * number
        length = (_WIDTH - _LEFT - _RIGHT) * math.log10(bar.value / least) / decades
        colour = "#1f6f54" if bar.is_ours else "#b8b8b8"
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_ROW - 6}" fill="{colour}"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{_number(bar.value)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _bars(lines: Sequence[Line], benchmark: str, figure: str, latency_ms: int) -> list[Bar]:
    return [
        Bar(line["contender"], line[figure], line["contender"] == "ours")
        for line in lines
        if line["benchmark"] == benchmark and line["latency_ms"] == latency_ms
    ]


def _written(path: Path, title: str, bars: Sequence[Bar]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bar_chart(title, bars), encoding="utf-8")
    return path


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
