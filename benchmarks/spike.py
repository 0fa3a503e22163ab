"""spike: a burst through the whole local pipeline, produced and drained; what was stored is counted after.

`floor` is the same events through the same kind of endpoint by the tuned client alone: PutRecords,
GetRecords and BatchWriteItem one after the other, no handler, no mapping, nothing checked.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks import contenders
from benchmarks.harness import dataset, endpoint, measure
from benchmarks.harness.measure import Line, Plan

EVENTS, QUICK_EVENTS = (100_000, 200_000), (2_000, 4_000)
EVENTS_PER_PRODUCT = 10

#: Each takes most of a minute.
MAX_RUNS = 3

_NO_URL = ""


def run(plan: Plan) -> Iterator[Line]:
    """A line per contender and size; `floor` for the first size only."""
    sizes = QUICK_EVENTS if plan.quick else EVENTS
    wanted = [("ours", sizes[0]), ("floor", sizes[0]), ("ours", sizes[1])]
    runs: dict[tuple[str, int], list[dict[str, float]]] = {each: [] for each in wanted}
    number_of_runs = min(plan.runs, MAX_RUNS)
    for number in range(number_of_runs):
        for (name, events), done in runs.items():
            plan.say(f"spike: {name}, {events:,} events, run {number + 1} of {number_of_runs}")
            if name == "ours":
                done.append(measure.child("benchmarks.spike:ours", _NO_URL, events=events))
            else:
                with endpoint.running() as url:
                    done.append(measure.child("benchmarks.spike:floor", url, events=events))
    for (name, events), done in runs.items():
        yield measure.line({"benchmark": "spike", "contender": name, "events": events}, done)


def ours(events: int) -> dict[str, float]:
    """Runs in a process of its own, which is the pipeline's."""
    from chalicelib import settings
    from local import aws, pipeline
    from local.draining import wait_until_drained
    from local.observers.counters import Stopwatch
    from producer.entry import event_entry
    from producer.putter import Putter

    entries = [event_entry(data) for data in _events(events)]
    watch = Stopwatch()

    with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as logs:
        plan = pipeline.Plan(endpoint.STAGE, Path(logs))
        with pipeline.running(plan, watch, lambda _: None) as running:
            kinesis = aws.client("kinesis")
            started = time.time()
            report = Putter(kinesis, settings.stream_name(), on_accepted=watch.accepted).send(entries)
            drained = wait_until_drained(running, watch)
            produced = watch.last_accepted_at - started
            seconds = max(watch.last_done_at, watch.last_accepted_at) - started
            assert drained, "the pipeline stands still"
            assert report.sent == events, report.sent
            stored = running.stored()
            assert stored == events, stored
    return {
        "seconds": seconds,
        "seconds_produce": produced,
        "seconds_drain": seconds - produced,
        "events_per_second": events / seconds,
    }


def floor(events: int) -> dict[str, float]:
    """Runs in a process of its own."""
    config = Config(parameter_validation=False)
    kinesis = boto3.client("kinesis", config=config)
    dynamodb = boto3.client("dynamodb", config=config)
    stream, table = f"lifecycle-{endpoint.STAGE}-events", f"lifecycle-{endpoint.STAGE}-history"
    records: list[Any] = [{"Data": data, "PartitionKey": dataset.serial_of(data)} for data in _events(events)]
    shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName=stream)["Shards"]]
    started = time.perf_counter()
    for start in range(0, events, 500):
        kinesis.put_records(StreamName=stream, Records=records[start : start + 500])
    produced = time.perf_counter() - started
    stored = 0
    for shard_id in shards:
        iterator: str | None = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator is not None:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            read = answer["Records"]
            for first in range(0, len(read), 25):
                puts: list[Any] = [
                    {"PutRequest": {"Item": contenders.mapped_item(json.loads(record["Data"]))}}
                    for record in read[first : first + 25]
                ]
                dynamodb.batch_write_item(RequestItems={table: puts})
                stored += len(puts)
            iterator = answer.get("NextShardIterator") if read else None
    seconds = time.perf_counter() - started
    assert stored == events, stored
    return {
        "seconds": seconds,
        "seconds_produce": produced,
        "seconds_drain": seconds - produced,
        "events_per_second": events / seconds,
    }


def _events(count: int) -> list[bytes]:
    return dataset.wire_events(count, count // EVENTS_PER_PRODUCT)
