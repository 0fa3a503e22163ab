"""memory: the deployed handler with the CPU share that Lambda gives each memory size.

Lambda has no CPU setting: its share grows with memory, one whole CPU at 1,769 MB (Lambda developer guide,
"Configure function memory").  The share is imposed here by stopping and continuing the process in turns of
20 ms (a duty cycle: it needs no privileges, unlike a cgroup), on one CPU where the system can pin it.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import contenders
from benchmarks.harness import dataset, measure
from benchmarks.harness.measure import Line, Plan
from cli.paths import ROOT

MEMORY_MB = (128, 512, 1024, 1769)
WHOLE_CPU_MB = 1769
LATENCY_MS = 5
EVENTS, QUICK_EVENTS = 10_000, 1_000
SINGLES = 40

_PERIOD_S = 0.02


def run(plan: Plan) -> Iterator[Line]:
    """A line per memory size."""
    runs: dict[int, list[dict[str, float]]] = {memory_mb: [] for memory_mb in MEMORY_MB}
    for number in range(plan.runs):
        plan.say(f"memory: run {number + 1} of {plan.runs}")
        for memory_mb, done in runs.items():
            with measure.stub(LATENCY_MS) as url:
                done.append(_limited(url, memory_mb, QUICK_EVENTS if plan.quick else EVENTS))
    for memory_mb, done in runs.items():
        about = {
            "benchmark": "memory",
            "contender": "ours",
            "memory_mb": memory_mb,
            "cpu_share": measure.rounded(memory_mb / WHOLE_CPU_MB),
            "limit": "duty cycle",
            "latency_ms": LATENCY_MS,
        }
        yield measure.line(about, done)


def timed(events: int) -> dict[str, Any]:
    """Runs in a process of its own, which is limited from the moment it says that it is ready."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    data = dataset.wire_events(events, events // 10)
    batches = list(dataset.lambda_events(data))
    singles = list(dataset.lambda_events(data[:SINGLES], size=1))
    handle = contenders.ours()
    handle(batches[0])
    os.write(2, b"ready\n")
    one_ms = [_ms(handle, event) for event in singles]
    batch_ms = [_ms(handle, event) for event in batches]
    return {
        "events_per_second": events / sum(batch_ms) * 1000,
        "p50_ms_of_500_records": statistics.median(batch_ms),
        # The mean: one record takes less than a period, so the median is either a whole pause or none.
        "mean_ms_of_1_record": statistics.mean(one_ms),
    }


def _ms(handle: contenders.Handler, event: dict[str, Any]) -> float:
    started = time.perf_counter()
    handle(event)
    return (time.perf_counter() - started) * 1000


def _limited(url: str, memory_mb: int, events: int) -> dict[str, float]:
    environment = measure.child_environment(url, AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(memory_mb))
    command = [sys.executable, "-m", "benchmarks.harness.child", "benchmarks.memory:timed"]
    with subprocess.Popen(
        [*command, json.dumps({"events": events})],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None, "asked for above"
        assert process.stdout is not None, "asked for above"
        if process.stderr.readline() != "ready\n":
            raise measure.ContenderError(f"memory: {process.stderr.read()[-2000:]}")
        done = threading.Event()
        limiting = threading.Thread(target=_limit, args=(process.pid, memory_mb / WHOLE_CPU_MB, done))
        limiting.start()
        try:
            said = process.stdout.read()
        finally:
            done.set()
            limiting.join()
    figures: dict[str, float] = json.loads(said)
    return figures


def _limit(pid: int, share: float, done: threading.Event) -> None:
    """Let the process run for its share of each period.  It is not reaped before this has ended."""
    while share < 1 and not done.wait(share * _PERIOD_S):
        os.kill(pid, signal.SIGSTOP)
        done.wait((1 - share) * _PERIOD_S)
        os.kill(pid, signal.SIGCONT)
