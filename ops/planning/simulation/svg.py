"""Charts as SVG text: line plots over time, one panel above the other, and horizontal bars.

Small on purpose: nothing among the requirements draws, and a plotting library would weigh more than the rest
of the project.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, PANEL_HEIGHT = 820, 190
_LEFT, _RIGHT, _TOP, _BOTTOM, _TITLE = 86, 18, 26, 30, 30

_BAR_HEIGHT, _BARS_LEFT, _BARS_RIGHT, _BARS_TOP = 22, 210, 90, 44


class Panel(NamedTuple):
    """One curve: its name, and points of (seconds, value) in order of time."""

    name: str
    points: Sequence[tuple[float, float]]


class ChartBar(NamedTuple):
    """One bar: its name, its value above 0, the text beside it, and whether it stands out."""

    name: str
    value: float
    label: str
    is_highlighted: bool


def line_plot(title: str, panels: Sequence[Panel]) -> str:
    """Return an SVG document of these panels.  Values are finite and not negative."""
    ticks_s = ticks(max((point[0] for panel in panels for point in panel.points), default=0.0))
    parts: list[str] = []
    for number, panel in enumerate(panels):
        parts += _panel(panel, _TITLE + number * PANEL_HEIGHT, ticks_s)
    return _document(title, _LEFT, _TITLE + len(panels) * PANEL_HEIGHT, parts)


def bar_chart(title: str, bars: Sequence[ChartBar]) -> str:
    """Return an SVG document of these bars on a logarithmic scale."""
    smallest = 10 ** math.floor(math.log10(min(bar.value for bar in bars)) - 0.3)
    decades = math.log10(max(bar.value for bar in bars) / smallest)
    parts = []
    for number, bar in enumerate(bars):
        y = _BARS_TOP + _BAR_HEIGHT * number
        length = (WIDTH - _BARS_LEFT - _BARS_RIGHT) * math.log10(bar.value / smallest) / decades
        colour = "#1f6f54" if bar.is_highlighted else "#b8b8b8"
        parts += [
            f'<text x="{_BARS_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect x="{_BARS_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR_HEIGHT - 6}" '
            f'fill="{colour}"/>',
            f'<text x="{_BARS_LEFT + length + 6:.1f}" y="{y + 13}">{escape(bar.label)}</text>',
        ]
    return _document(f"{title} (logarithmic)", 12, _BARS_TOP + _BAR_HEIGHT * len(bars) + 12, parts)


def ticks(largest: float, at_most: int = 6) -> list[float]:
    """Return round numbers from 0 to at least `largest`, in steps of 1, 2 or 5 times a power of ten."""
    if largest < 1e-9:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(largest / at_most))
    step = next(
        power * factor for factor in (1, 2, 5, 10) if power * factor * at_most >= largest * (1 - 1e-9)
    )
    count = math.ceil(largest / step - 1e-9)
    return [step * index for index in range(count + 1)]


def _document(title: str, title_x: int, height: int, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            f'<text x="{title_x}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _panel(panel: Panel, top: float, ticks_s: Sequence[float]) -> list[str]:
    ticks_y = ticks(max((value for _, value in panel.points), default=0.0))
    width, height = WIDTH - _LEFT - _RIGHT, PANEL_HEIGHT - _TOP - _BOTTOM
    bottom = top + _TOP + height

    def x(seconds: float) -> str:
        return f"{_LEFT + width * seconds / ticks_s[-1]:.1f}"

    def y(value: float) -> str:
        return f"{bottom - height * value / ticks_y[-1]:.1f}"

    parts = [f'<text x="{_LEFT}" y="{top + 16:.1f}">{escape(panel.name)}</text>']
    for value in ticks_y:
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value)}" y2="{y(value)}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y(value)}" dy="4" text-anchor="end" fill="#555">{value:,g}</text>'
        )
    for seconds in ticks_s:
        parts.append(
            f'<line x1="{x(seconds)}" x2="{x(seconds)}" y1="{bottom}" y2="{bottom + 4}" stroke="#888"/>'
            f'<text x="{x(seconds)}" y="{bottom + 17}" text-anchor="middle" fill="#555">{seconds:,g} s</text>'
        )
    if panel.points:
        line = " ".join(f"{x(seconds)},{y(value)}" for seconds, value in panel.points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="1.5"/>')
    return parts
