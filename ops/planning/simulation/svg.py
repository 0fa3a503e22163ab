"""Line plots as SVG text, one panel above the other over the same time.

The only place that writes SVG.  Small on purpose: nothing among the requirements draws, and a plotting
library would weigh more than the rest of the project.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, PANEL_HEIGHT = 820, 190
_LEFT, _RIGHT, _TOP, _BOTTOM, _TITLE = 86, 18, 26, 30, 30


class Panel(NamedTuple):
    """One curve: its name, and points of (seconds, value) in order of time."""

    name: str
    points: Sequence[tuple[float, float]]


def plot(title: str, panels: Sequence[Panel]) -> str:
    """An SVG document of these panels.  Values are finite and not negative."""
    height = _TITLE + len(panels) * PANEL_HEIGHT
    longest = max((point[0] for panel in panels for point in panel.points), default=0.0)
    ticks_s = ticks(longest)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, _TITLE + number * PANEL_HEIGHT, ticks_s)
    return "\n".join([*parts, "</svg>", ""])


def ticks(largest: float, at_most: int = 6) -> list[float]:
    """Round numbers from 0 to at least `largest`, in steps of 1, 2 or 5 times a power of ten."""
    if largest < 1e-9:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(largest / at_most))
    step = next(
        power * factor for factor in (1, 2, 5, 10) if power * factor * at_most >= largest * (1 - 1e-9)
    )
    count = math.ceil(largest / step - 1e-9)
    return [step * index for index in range(count + 1)]


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
