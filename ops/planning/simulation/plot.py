"""A simulated run drawn over time: what waits, how old it gets, what is stored, what is throttled."""

from ops.output import counted
from ops.planning.simulation import svg
from ops.planning.simulation.scenario import Load, Result, Settings


def plot(load: Load, settings: Settings, result: Result) -> str:
    """The run over time, as SVG."""
    width_s = result.timeline[0].at if result.timeline else 1.0
    return svg.plot(
        f"{counted(result.events, 'event')}, {counted(settings.shards, 'shard')}, "
        f"{counted(settings.parallelization, 'lane')} each, batches of {settings.batch_size}",
        [
            svg.Panel("events offered and not stored yet", backlog(load, result)),
            svg.Panel(
                "iterator age in seconds", [(each.at, each.iterator_age_s) for each in result.timeline]
            ),
            svg.Panel(
                "events stored a second", [(each.at, each.stored / width_s) for each in result.timeline]
            ),
            svg.Panel(
                "write requests throttled a second",
                [(each.at, each.throttles / width_s) for each in result.timeline],
            ),
        ],
    )


def backlog(load: Load, result: Result) -> list[tuple[float, int]]:
    """How many events had been offered, and neither stored nor given up, at the end of each stretch."""
    left, done = [], 0
    for moment in result.timeline:
        done += moment.stored + moment.given_up
        left.append((moment.at, max(0, load.offered_by(moment.at) - done)))
    return left
