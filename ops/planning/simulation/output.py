"""How a simulated run is told: as JSON with everything, or as two tables for people."""

import math
from dataclasses import asdict
from typing import Any

from ops.output import table, tell
from ops.planning.simulation.plot import backlog
from ops.planning.simulation.scenario import Load, Result, Settings


def as_json(load: Load, settings: Settings, result: Result) -> dict[str, Any]:
    """Everything, the timeline included; seconds with milliseconds, a limit that is none as null."""
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


def tell_run(load: Load, result: Result) -> None:
    """The figures, and ten moments of the run."""

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
    table(("what", "how much"), [row for row in rows if row[1]])
    tell("")
    steps = result.timeline[:: max(1, math.ceil(len(result.timeline) / 10))]
    left = dict(backlog(load, result))
    table(
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


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
