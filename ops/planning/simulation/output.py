"""A simulated run as JSON with everything, as two tables, and as a plot over time."""

import math
from dataclasses import asdict
from typing import Any

from ops.output import counted, print_line, print_table
from ops.planning.simulation import svg
from ops.planning.simulation.scenario import OfferedLoad, Result, Settings


def as_json(load: OfferedLoad, settings: Settings, result: Result) -> dict[str, Any]:
    """Return everything, the timeline included; seconds with milliseconds, infinity as null."""
    answer = {
        "load": asdict(load),
        "settings": asdict(settings),
        **asdict(result),
        "batch_mean": result.batch_mean,
        "backlog": [[at, left] for at, left in backlog(load, result)],
        "timeline": [moment._asdict() for moment in result.timeline],
    }
    rounded = _rounded(answer)
    assert isinstance(rounded, dict)
    return rounded


def print_run(load: OfferedLoad, result: Result) -> None:
    """Print the figures, and ten moments of the run."""

    def seconds(value: float | None) -> str:
        return "" if value is None else f"{value:,.1f} s"

    rows = [
        ("events", f"{result.events:,}"),
        ("stored", f"{result.stored:,}"),
        ("everything stored after", seconds(result.drained_s)),
        ("the burst stored after", seconds(result.burst_stored_s)),
        ("iterator age, at most", seconds(result.iterator_age_s)),
        *((f"stream to table, {rank}", seconds(value)) for rank, value in result.latency_s.items()),
        ("invocations", f"{result.invocations:,}"),
        ("records in one", f"{result.batch_mean:,.0f}"),
        ("at once, at most", f"{result.concurrency:,}"),
        ("time in the function", seconds(result.lambda_s)),
        ("cold starts", f"{result.cold_starts:,}"),
        ("failed", f"{result.failed_invocations:,}"),
        ("of these, ended by the timeout", f"{result.timed_out_invocations:,}"),
        ("ended in part for want of time", f"{result.partial_invocations:,}"),
        ("invocations without room", f"{result.concurrency_throttles:,}"),
        ("times a shard refused a record", f"{result.put_throttles:,}"),
        ("write requests that DynamoDB refused", f"{result.write_throttles:,}"),
        ("rejected by the producer", f"{result.rejected:,}"),
        ("dead letters", f"{result.dead_lettered:,}"),
    ]
    print_table(("figure", "value"), [row for row in rows if row[1]])
    print_line("")
    steps = result.timeline[:: max(1, math.ceil(len(result.timeline) / 10))]
    left = dict(backlog(load, result))
    print_table(
        ("after", "not stored yet", "iterator age", "invocations", "throttled writes"),
        [
            (
                f"{moment.at:,.1f} s",
                f"{left[moment.at]:,}",
                seconds(moment.iterator_age_s),
                f"{moment.invocations:,}",
                f"{moment.throttles:,}",
            )
            for moment in steps
        ],
    )


def plot(load: OfferedLoad, settings: Settings, result: Result) -> str:
    """Return the run over time as SVG: what waits, how old it gets, what is stored, what is throttled."""
    timeline = result.timeline
    width_s = timeline[0].at if timeline else 1.0
    return svg.line_plot(
        f"{counted(result.events, 'event')}, {counted(settings.shards, 'shard')}, "
        f"{counted(settings.parallelization, 'lane')} each, batches of {settings.batch_size}",
        [
            svg.Panel("events offered and not stored yet", backlog(load, result)),
            svg.Panel("iterator age in seconds", [(each.at, each.iterator_age_s) for each in timeline]),
            svg.Panel("events stored a second", [(each.at, each.stored / width_s) for each in timeline]),
            svg.Panel(
                "write requests throttled a second",
                [(each.at, each.throttles / width_s) for each in timeline],
            ),
        ],
    )


def backlog(load: OfferedLoad, result: Result) -> list[tuple[float, int]]:
    """Return the events offered and neither stored nor given up, at the end of each stretch."""
    left, done = [], 0
    for moment in result.timeline:
        done += moment.stored + moment.given_up
        left.append((moment.at, max(0, load.offered_by(moment.at) - done)))
    return left


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
