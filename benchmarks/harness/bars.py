"""What must hold: ratios within one run, and where each of them has its bar.

A ratio is taken run by run and the median of those counts: what else the machine did meanwhile is in both.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.harness.measure import Line, rounded

_About = Mapping[str, Any]


class Bar(NamedTuple):
    """A figure of ours over a figure of another, or the worst of ours alone, and its limits."""

    name: str
    figure: str
    ours: _About  # what the line says about itself, beside its figures
    other: _About | None = None
    at_least: float | None = None
    at_most: float | None = None
    other_figure: str | None = None  # where it is not the same one


def _contender(benchmark: str, name: str, **about: Any) -> _About:
    return {"benchmark": benchmark, "contender": name, **about}


def _ingest(name: str, latency_ms: int) -> _About:
    return _contender("ingest", name, latency_ms=latency_ms)


def _lookup_cpu(history: int) -> Bar:
    return Bar(
        f"lookup CPU, history of {history:,}: ours / bare Query of the page",
        "cpu_us_per_lookup",
        _contender("lookup", "product", history=history),
        _contender("lookup", "bare_query_of_product", history=history),
        at_most=1.6,
    )


def _lookup_cpu_with_voids(history: int) -> Bar:
    return Bar(
        f"lookup CPU, history of {history:,} with voids: ours / bare Queries of the same",
        "cpu_us_per_lookup",
        _contender("lookup", "product_with_voids", history=history),
        _contender("lookup", "bare_queries_of_product_with_voids", history=history),
        at_most=1.6,
    )


def _hostile_form(form: str) -> Bar:
    return Bar(
        f"CPU of 1 MB of hostile metadata as {form} / of the same bytes as plain strings",
        "cpu_over_plain",
        _contender("forms", "worst", form=form),
        at_most=6,
    )


def _simulated(name: str) -> Bar:
    """Simulated time over measured time, run by run."""
    about = _contender("simulation", name)
    return Bar(
        f"simulated / measured drain, {name.replace('_', ' ')}",
        "simulated_s",
        about,
        about,
        at_least=0.75,
        at_most=1.25,
        other_figure="measured_s",
    )


BARS = [
    Bar(
        "ingest at 5 ms: ours / conditional_put, events/s",
        "events_per_second",
        _ingest("ours", 5),
        _ingest("conditional_put", 5),
        at_least=90,
    ),
    Bar(
        "ingest at 5 ms: ours / powertools, events/s",
        "events_per_second",
        _ingest("ours", 5),
        _ingest("powertools", 5),
        at_least=90,
    ),
    Bar(
        "ingest at 20 ms: ours / tuned_batch, events/s",
        "events_per_second",
        _ingest("ours", 20),
        _ingest("tuned_batch", 20),
        at_least=6,
    ),
    Bar(
        "CPU per event: ours / conditional_put",
        "cpu_us_per_event",
        _ingest("ours", 0),
        _ingest("conditional_put", 0),
        at_most=1 / 14,
    ),
    Bar(
        "CPU per event: ours / tuned_batch",
        "cpu_us_per_event",
        _ingest("ours", 0),
        _ingest("tuned_batch", 0),
        at_most=0.85,
    ),
    Bar(
        "write units an event up to 1 KB, at any history length",
        "most_write_units",
        _contender("write_units", "ours"),
        at_most=1,
    ),
    Bar(
        "lookup p50: history of 100,000 / history of 10, same number of events",
        "p50_ms",
        _contender("lookup", "page_of_10", history=100_000),
        _contender("lookup", "page_of_10", history=10),
        at_most=1.3,
    ),
    *map(_lookup_cpu, (10, 1_000, 100_000)),
    *map(_lookup_cpu_with_voids, (10, 1_000, 100_000)),
    *map(_hostile_form, ("json", "ndjson", "csv", "html", "epcis")),
    Bar(
        "cold to first record / bare boto3 client",
        "ms",
        _contender("cold", "first_record"),
        _contender("cold", "bare_client"),
        at_most=1.35,
    ),
    Bar(
        "spike of 100,000: ours / floor",
        "seconds",
        _contender("spike", "ours", events=100_000),
        _contender("spike", "floor", events=100_000),
        at_most=1.6,
    ),
    Bar(
        "spike: 200,000 / 100,000",
        "seconds",
        _contender("spike", "ours", events=200_000),
        _contender("spike", "ours", events=100_000),
        at_most=2.2,
    ),
    Bar(
        "trickle at a poll interval of 0.1 s: p50 / (half the interval + 4 x the four calls)",
        "p50_ms",
        _contender("trickle", "ours", poll_interval="0.1 s"),
        _contender("trickle", "ours", poll_interval="0.1 s"),
        at_most=1,
        other_figure="expected_ms",
    ),
    Bar(
        "producer, plain / bare PutRecords of prebuilt records",
        "events_per_second",
        _contender("producer", "plain"),
        _contender("producer", "bare_put_records"),
        at_least=0.7,
    ),
    Bar(
        "aggregated: PUT payload units an event of 300 bytes",
        "put_units_per_event",
        _contender("producer", "aggregated"),
        at_most=0.02,
    ),
    _simulated("no_limits"),
    _simulated("shard_limits"),
]


def judged(lines: Sequence[Line]) -> Iterator[Line]:
    """A line for each bar whose benchmark was run."""
    for bar in BARS:
        ours = _runs(lines, bar.ours, bar.figure)
        figure = bar.other_figure or bar.figure
        other = [1.0] * len(ours) if bar.other is None else _runs(lines, bar.other, figure)
        if not ours or not other:
            continue
        if bar.other is None:
            value = max(ours)
        else:
            value = statistics.median(one / two for one, two in zip(ours, other, strict=True))
        holds = (bar.at_least is None or value >= bar.at_least) and (
            bar.at_most is None or value <= bar.at_most
        )
        bounds = (("≥", bar.at_least), ("≤", bar.at_most))
        limit = ", ".join(f"{sign} {bound:.3g}" for sign, bound in bounds if bound is not None)
        yield {"benchmark": "bar", "bar": bar.name, "value": rounded(value), "limit": limit, "holds": holds}


def _runs(lines: Sequence[Line], about: _About, figure: str) -> list[float]:
    """The figure in each run of the lines that say this about themselves."""
    return [
        value
        for line in lines
        if all(line.get(name) == value for name, value in about.items())
        for value in line.get("each", {}).get(figure, [line[figure]])
    ]
