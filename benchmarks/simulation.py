"""simulation: bursts through the local pipeline, and what `ops simulate` says of them beforehand.

Small bursts calibrate: the time of an invocation, of a record in it, of a sandbox's start, of a request of
the producer.  A larger one is predicted from them and compared with its run, once as fast as this machine
goes and once with shards that refuse what AWS's would.  Nothing is fitted to the run that is compared; there
is a small burst before and one after it, because a machine is not equally busy all the time.
"""

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import dataset, endpoint, measure
from benchmarks.harness.measure import Line, Plan
from ops.planning.simulation.engine import simulate
from ops.planning.simulation.scenario import OfferedLoad, Settings
from producer import limits

CALIBRATION, EVENTS = 20_000, 50_000
QUICK_CALIBRATION, QUICK_EVENTS = 4_000, 8_000
EVENTS_PER_PRODUCT = 10

#: The simulated burst is the mean of so many runs: they draw which key goes where.
DRAWS = 20

_NO_URL = ""
_UNLIMITED: dict[str, Any] = {
    "shard_records_s": float("inf"),
    "shard_in_bytes_s": float("inf"),
    "shard_out_bytes_s": float("inf"),
    "shard_reads_s": float("inf"),
    "write_units_s": float("inf"),
}


class Calibration(NamedTuple):
    """What a small burst teaches about this machine, in seconds."""

    handler_s: float  # an invocation beside its records, and until the shard's next one begins
    record_s: float
    cold_start_s: float
    put_s: float


def run(plan: Plan) -> Iterator[Line]:
    """A line without and one with limits on the shards; `ratio` is simulated time over measured time."""
    small, events = (QUICK_CALIBRATION, QUICK_EVENTS) if plan.quick else (CALIBRATION, EVENTS)
    runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for number in range(plan.runs):
        plan.say(f"simulation: run {number + 1} of {plan.runs}")
        for is_limited, done in runs.items():
            before = calibrated(_burst(small, is_limited=False))
            measured = _burst(events, is_limited=is_limited)
            after = calibrated(_burst(small, is_limited=False))
            calibration = Calibration(*map(statistics.mean, zip(before, after, strict=True)))
            simulated_s = predicted(calibration, measured["settings"], events, is_limited)
            done.append(
                {
                    "measured_s": measured["seconds"],
                    "simulated_s": simulated_s,
                    "ratio": simulated_s / measured["seconds"],
                    "record_ms": calibration.record_s * 1000,
                    "cold_start_s": calibration.cold_start_s,
                }
            )
    for is_limited, done in runs.items():
        contender = "shard_limits" if is_limited else "no_limits"
        yield measure.line({"benchmark": "simulation", "contender": contender, "events": events}, done)


def calibrated(burst: dict[str, Any]) -> Calibration:
    """The costs behind a burst: a line through its warm invocations, and what the first ones took more."""
    first: dict[str, tuple[int, float]] = {}
    ended: dict[str, float] = {}
    warm: list[tuple[int, float]] = []
    between: list[float] = []
    for source, started, records, seconds in sorted(burst["invocations"], key=lambda each: float(each[1])):
        if source in first:
            warm.append((records, seconds))
            between.append(started - ended[source])
        else:
            first[source] = (records, seconds)
        ended[source] = started + seconds
    handler_s, record_s = _fit(warm)
    cold_start_s = statistics.mean(
        seconds - handler_s - record_s * records for records, seconds in first.values()
    )
    # What the local mapping does between two invocations, most of it reading: AWS's pollers do it beside
    # them.  The mean, because one read serves several invocations.
    handler_s += statistics.mean(between)
    in_flight = limits.IN_FLIGHT * limits.MAX_RECORDS
    put_s = burst["seconds_produce"] * in_flight / burst["events"]
    return Calibration(handler_s, record_s, max(0.0, cold_start_s), put_s)


def predicted(calibration: Calibration, deployed: dict[str, Any], events: int, is_limited: bool) -> float:
    """Seconds until a burst is stored, as `ops simulate` sees it."""
    pipeline = Settings(
        **deployed,
        handler_s=calibration.handler_s,
        record_s=calibration.record_s,
        cold_start_s=calibration.cold_start_s,
        **_UNLIMITED,
    )
    if is_limited:
        default = Settings()
        pipeline = replace(
            pipeline,
            shard_records_s=default.shard_records_s,
            shard_in_bytes_s=default.shard_in_bytes_s,
        )
    load = OfferedLoad(
        burst=events,
        event_bytes=300,
        keys=max(1, events // EVENTS_PER_PRODUCT),
        put_s=calibration.put_s,
    )
    return statistics.mean(simulate(pipeline, load, random.Random(seed)).drained_s for seed in range(DRAWS))


def burst(events: int, is_limited: bool) -> dict[str, Any]:
    """Runs in a process of its own, which is the pipeline's: puts the events and waits for their end."""
    from app import app
    from chalicelib import settings
    from local import pipeline
    from local.draining import wait_until_drained
    from local.event_sources.observer import Invocation
    from local.event_sources.settings import kinesis_settings
    from local.observers.counters import Stopwatch
    from producer import send
    from producer.entry import event_entry
    from producer.putter import Putter

    class Recorder(Stopwatch):
        """Also keeps every invocation of ingest."""

        def __init__(self) -> None:
            super().__init__()
            self.invocations: list[tuple[str, float, int, float]] = []
            self._recording = threading.Lock()

        def invoked(self, invocation: Invocation) -> None:
            super().invoked(invocation)
            if invocation.function == "process_lifecycle":
                with self._recording:
                    self.invocations.append(
                        (invocation.source, invocation.started_at, invocation.batch_size, invocation.seconds)
                    )

    entries = [
        event_entry(data) for data in dataset.wire_events(events, max(1, events // EVENTS_PER_PRODUCT))
    ]
    random.Random(dataset.SEED).shuffle(entries)
    watch = Recorder()

    mapping = kinesis_settings(app)
    with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as logs:
        plan = pipeline.Plan(endpoint.STAGE, Path(logs), shard_limits=is_limited)
        with pipeline.running(plan, watch, lambda _: None) as running:
            started = time.time()
            # Order costs requests that the simulation knows nothing of; a shuffled burst has none to keep.
            putter = Putter(send.client(), settings.stream_name(), on_accepted=watch.accepted, ordered=False)
            report = putter.send(entries)
            drained = wait_until_drained(running, watch)
            assert drained, "the pipeline stands still"
            assert report.sent == events, report.sent
            assert report.retried or not is_limited, "the shards have refused nothing"
            shards = len({invocation[0] for invocation in watch.invocations})
    return {
        "events": events,
        "seconds": max(watch.last_done_at, watch.last_accepted_at) - started,
        "seconds_produce": watch.last_accepted_at - started,
        "invocations": watch.invocations,
        "settings": {
            "shards": shards,
            "poll_s": pipeline.POLL_INTERVAL_S,
            "batch_size": mapping.batch_size,
            "window_s": float(mapping.window_s),
            "parallelization": mapping.parallelization_factor,
        },
    }


def _burst(events: int, *, is_limited: bool) -> dict[str, Any]:
    found: dict[str, Any] = measure.child(
        "benchmarks.simulation:burst", _NO_URL, events=events, is_limited=is_limited
    )
    return found


def _fit(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Fit a line through (records, seconds) by least squares; return start and slope, neither negative."""
    mean_x = statistics.mean(x for x, _ in points)
    mean_y = statistics.mean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else mean_y / mean_x
    start = mean_y - slope * mean_x
    if start < 0 or slope < 0:
        return 0.0, mean_y / mean_x
    return start, slope
