"""ingest: Lambda events of 500 records (50 in a quick run) through each contender, against a stub DynamoDB.

Contenders that write one record at a time would take minutes: each stops at the first Lambda event that
ends after `MAX_S`, and its rate is over what it handled by then.
"""

import gc
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import contenders
from benchmarks.harness import dataset, measure
from benchmarks.harness.measure import Line, Plan

EVENTS, QUICK_EVENTS = 20_000, 4_000
EVENTS_PER_PRODUCT = 10
LATENCIES_MS = (0, 5, 20)
MAX_S, QUICK_MAX_S = 2.0, 0.5
RECORDS, QUICK_RECORDS = 500, 50


def run(plan: Plan) -> Iterator[Line]:
    """A line per latency and contender.  The contenders of a latency take turns, run after run."""
    events = QUICK_EVENTS if plan.quick else EVENTS
    max_s = QUICK_MAX_S if plan.quick else MAX_S
    for latency_ms in LATENCIES_MS:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in contenders.CONTENDERS}
        for number in range(plan.runs):
            plan.say(f"ingest at {latency_ms} ms: run {number + 1} of {plan.runs}")
            for name, done in runs.items():
                with measure.stub(latency_ms) as url:
                    done.append(
                        measure.child(
                            "benchmarks.ingest:timed",
                            url,
                            contender=name,
                            url=url,
                            events=events,
                            records=QUICK_RECORDS if plan.quick else RECORDS,
                            max_s=max_s,
                        )
                    )
        for name, done in runs.items():
            about = {"benchmark": "ingest", "contender": name, "latency_ms": latency_ms}
            yield measure.line(about, done)


def timed(contender: str, url: str, events: int, records: int, max_s: float) -> dict[str, Any]:
    """Runs in a process of its own; `records` are in each Lambda event."""
    data = dataset.wire_events(events, events // EVENTS_PER_PRODUCT)
    given = list(dataset.lambda_events(data, size=records))
    handle = contenders.CONTENDERS[contender]()
    handle(given[0])  # opens connections, as many as it will use: a sandbox lives for hours
    gc.collect()
    gc.freeze()  # the data set is not the contender's garbage
    measure.ask_stub(url, "/reset")
    handled = 0
    cpu_s = time.process_time()
    started = time.perf_counter()
    for event in given:
        handle(event)
        handled += len(event["Records"])
        if time.perf_counter() - started > max_s:
            break
    seconds = time.perf_counter() - started
    cpu_s = time.process_time() - cpu_s
    counts = measure.ask_stub(url, "/counts")
    return {
        "events": handled,
        "events_per_second": handled / seconds,
        "cpu_us_per_event": cpu_s / handled * 1e6,
        "requests_per_event": counts["requests"] / handled,
        "write_units_per_event": counts["write_units"] / handled,
    }
