"""The charts of docs/performance.md, drawn from a run's lines.

Bars on a logarithmic scale, because the contenders lie two orders of magnitude apart.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness.document import number
from benchmarks.harness.measure import Line
from ops.planning.simulation.svg import ChartBar, bar_chart


def write(lines: Sequence[Line], directory: Path) -> Iterator[Path]:
    """Write the charts that these lines are enough for; yields each file's path."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, title, bars in (
        (
            "ingest.svg",
            "Ingest with 5 ms of DynamoDB latency: events per second",
            _bars(lines, "ingest", "events_per_second", latency_ms=5),
        ),
        ("cpu.svg", "CPU per event, µs", _bars(lines, "ingest", "cpu_us_per_event", latency_ms=0)),
        (
            "memory.svg",
            "A Lambda event of 500 records at Lambda's CPU share, ms",
            [
                _bar(f"{line['memory_mb']} MB", line["p50_ms_of_500_records"], is_ours=True)
                for line in lines
                if line["benchmark"] == "memory"
            ],
        ),
    ):
        if bars:
            path = directory / name
            path.write_text(bar_chart(title, bars), encoding="utf-8")
            yield path


def _bars(lines: Sequence[Line], benchmark: str, figure: str, latency_ms: int) -> list[ChartBar]:
    return [
        _bar(line["contender"], line[figure], is_ours=line["contender"] == "ours")
        for line in lines
        if line["benchmark"] == benchmark and line["latency_ms"] == latency_ms
    ]


def _bar(name: str, value: float, *, is_ours: bool) -> ChartBar:
    return ChartBar(name, value, number(value), is_ours)
