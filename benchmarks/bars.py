"""What must hold: ratios within one run, and where each of them has its bar."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.measure import Line, rounded


class Bar(NamedTuple):
    """One ratio and its limit."""

    name: str
    at_least: float | None
    at_most: float | None
    value: Callable[["Figures"], float]


class MissingError(LookupError):
    """The benchmark that a bar is about was not run."""


class Figures:
    """The lines of a run, asked for one figure at a time."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def __call__(self, benchmark: str, contender: str, figure: str, **about: object) -> float:
        """The one figure that these words name.  Raises MissingError."""
        wanted = {"benchmark": benchmark, "contender": contender, **about}
        for line in self._lines:
            if all(line.get(name) == value for name, value in wanted.items()):
                return float(line[figure])
        raise MissingError(benchmark)

    def most(self, benchmark: str, contender: str, figure: str) -> float:
        """The largest of a contender's figures.  Raises MissingError."""
        found = [
            float(line[figure])
            for line in self._lines
            if (line["benchmark"], line.get("contender")) == (benchmark, contender)
        ]
        if not found:
            raise MissingError(benchmark)
        return max(found)


def _ingest(figure: str, other: str, latency_ms: int) -> Callable[[Figures], float]:
    return lambda of: (
        of("ingest", "ours", figure, latency_ms=latency_ms)
        / of("ingest", other, figure, latency_ms=latency_ms)
    )


BARS = [
    Bar(
        "ingest at 5 ms: ours / conditional_put, events/s",
        90,
        None,
        _ingest("events_per_second", "conditional_put", 5),
    ),
    Bar(
        "ingest at 5 ms: ours / powertools, events/s", 90, None, _ingest("events_per_second", "powertools", 5)
    ),
    Bar(
        "ingest at 20 ms: ours / tuned_batch, events/s",
        6,
        None,
        _ingest("events_per_second", "tuned_batch", 20),
    ),
    Bar(
        "CPU per event: ours / conditional_put",
        None,
        1 / 14,
        _ingest("cpu_us_per_event", "conditional_put", 0),
    ),
    Bar("CPU per event: ours / tuned_batch", None, 0.85, _ingest("cpu_us_per_event", "tuned_batch", 0)),
    Bar(
        "write units an event up to 1 KB, at any history length",
        None,
        1,
        lambda of: of.most("write_units", "ours", "most_write_units"),
    ),
    Bar(
        "lookup p50: history of 100,000 / history of 10, same number of events",
        None,
        1.3,
        lambda of: (
            of("lookup", "page_of_10", "p50_ms", history=100_000)
            / of("lookup", "page_of_10", "p50_ms", history=10)
        ),
    ),
    Bar(
        "lookup CPU: ours / bare Query of the page",
        None,
        1.6,
        lambda of: (
            of("lookup", "product", "cpu_us_per_lookup", history=1_000)
            / of("lookup", "bare_query_of_product", "cpu_us_per_lookup", history=1_000)
        ),
    ),
    Bar(
        "cold to first record / bare boto3 client",
        None,
        1.35,
        lambda of: of("cold", "first_record", "ms") / of("cold", "bare_client", "ms"),
    ),
    Bar(
        "spike of 100,000: ours / floor",
        None,
        1.6,
        lambda of: (
            of("spike", "ours", "seconds", events=100_000) / of("spike", "floor", "seconds", events=100_000)
        ),
    ),
    Bar(
        "spike: 200,000 / 100,000",
        None,
        2.2,
        lambda of: (
            of("spike", "ours", "seconds", events=200_000) / of("spike", "ours", "seconds", events=100_000)
        ),
    ),
    Bar(
        "trickle p50 / sum of the four calls",
        None,
        8,
        lambda of: (
            of("trickle", "ours", "p50_ms", poll_interval="default") / of("trickle", "four_calls", "p50_ms")
        ),
    ),
    Bar(
        "producer, plain / bare PutRecords of prebuilt records",
        0.7,
        None,
        lambda of: (
            of("producer", "plain", "events_per_second")
            / of("producer", "bare_put_records", "events_per_second")
        ),
    ),
    Bar(
        "aggregated: PUT payload units an event of 300 bytes",
        None,
        0.02,
        lambda of: of("producer", "aggregated", "put_units_per_event"),
    ),
]


def judged(lines: Sequence[Line]) -> Iterator[Line]:
    """A line for each bar whose benchmarks were run."""
    figures = Figures(lines)
    for bar in BARS:
        try:
            value = bar.value(figures)
        except MissingError:
            continue
        holds = (bar.at_least is None or value >= bar.at_least) and (
            bar.at_most is None or value <= bar.at_most
        )
        limit = {"at_least": bar.at_least} if bar.at_most is None else {"at_most": rounded(bar.at_most)}
        yield {"benchmark": "bar", "bar": bar.name, "value": rounded(value), **limit, "holds": holds}
