"""producer: events generated, serialised and accepted a second, plain and aggregated, on a real stream.

`bare_put_records` is a low-level client that puts records made beforehand, 500 a request, one request after
the other.  A PUT payload unit is a started 25 KB of a record (Kinesis Data Streams pricing).
"""

import gc
import math
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchmarks.harness import dataset, endpoint, measure
from benchmarks.harness.measure import Line, Plan
from producer.aggregate import UNIT_BYTES, Aggregator, open_shards
from producer.entry import Entry, event_entry, size_of
from producer.lives import lives
from producer.putter import Putter
from producer.send import client

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

EVENTS, QUICK_EVENTS = 100_000, 5_000
CONTENDERS = ("bare_put_records", "plain", "aggregated")
SHARDS = 4


def run(plan: Plan) -> Iterator[Line]:
    """A line per contender; they take turns on one endpoint, each on a stream of its own."""
    events = QUICK_EVENTS if plan.quick else EVENTS
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    with endpoint.running() as url:
        for number in range(plan.runs):
            plan.say(f"producer: run {number + 1} of {plan.runs}")
            for name, done in runs.items():
                done.append(measure.child("benchmarks.producer:timed", url, contender=name, events=events))
    for name, done in runs.items():
        yield measure.line({"benchmark": "producer", "contender": name}, done)


def timed(contender: str, events: int) -> dict[str, Any]:
    """Runs in a process of its own."""
    is_bare = contender == "bare_put_records"
    kinesis = boto3.client("kinesis", config=Config(parameter_validation=False)) if is_bare else client()
    stream = f"bench-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=stream, ShardCount=SHARDS)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    gc.collect()
    gc.freeze()  # what boto3 loaded is nobody's garbage; `python -m producer` does the same
    figures = (_bare if is_bare else _producer)(kinesis, stream, contender, events)
    kinesis.delete_stream(StreamName=stream)
    return figures


def _producer(kinesis: "KinesisClient", stream: str, contender: str, events: int) -> dict[str, float]:
    shards = open_shards(kinesis, stream)

    def entries() -> Iterator[Entry | None]:
        plain = map(event_entry, lives(events, events // 10, dataset.SEED, dataset.NOW))
        return Aggregator(shards).records(plain) if contender == "aggregated" else plain

    started, cpu_s = time.perf_counter(), time.process_time()
    report = Putter(kinesis, stream).send(entries())
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    assert report.sent == events, report.sent
    # The same seed gives the same entries: counted afterwards, so that counting costs the producer nothing.
    return _figures(events, seconds, cpu_s, sum(_units(entry) for entry in entries() if entry is not None))


def _bare(kinesis: "KinesisClient", stream: str, contender: str, events: int) -> dict[str, float]:
    entries = [event_entry(data) for data in dataset.wire_events(events, events // 10)]
    records: list[Any] = [{"Data": entry.data, "PartitionKey": entry.partition_key} for entry in entries]
    gc.collect()
    gc.freeze()  # the records are made beforehand, and are nobody's garbage
    started, cpu_s = time.perf_counter(), time.process_time()
    for start in range(0, events, 500):
        answer = kinesis.put_records(StreamName=stream, Records=records[start : start + 500])
        assert not answer["FailedRecordCount"], answer
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    return _figures(events, seconds, cpu_s, sum(map(_units, entries)))


def _figures(events: int, seconds: float, cpu_s: float, units: int) -> dict[str, float]:
    return {
        "events_per_second": events / seconds,
        "cpu_us_per_event": cpu_s / events * 1e6,
        "put_units_per_event": units / events,
    }


def _units(entry: Entry) -> int:
    return math.ceil(size_of(entry) / UNIT_BYTES)
