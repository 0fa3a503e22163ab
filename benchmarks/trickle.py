"""trickle: eight events a second, from the producer's call to the event being read back.

Once the function has succeeded on a record its product is queried, and the answer's arrival ends the
event's time.  `four_calls` are one PutRecord, GetRecords, BatchWriteItem and Query on the same endpoint in
the same run, one after the other, with nothing in between.  A record waits for half of the poll interval on
average, so `expected_ms` is that half and four times the four calls.
"""

import json
import queue
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.harness import dataset, endpoint, measure
from benchmarks.harness.measure import Line, Plan
from local.event_sources.read_schedule import POLL_INTERVAL_S
from local.observers.counters import Counter, percentile

RATE = 8.0
SECONDS, QUICK_SECONDS = 30, 5
ROUNDS = 40

#: The local mapping's default, and AWS's base rate (Lambda developer guide, "with-kinesis").
POLL_INTERVALS_S = (POLL_INTERVAL_S, 1.0)

#: What an event may take beside waiting for a read: this many times the four calls.
CALLS = 4

_NO_URL = ""


def run(plan: Plan) -> Iterator[Line]:
    """A line per poll interval, and one for the four calls."""
    runs: dict[str, list[dict[str, float]]] = {}
    for number in range(plan.runs):
        for poll_interval_s in POLL_INTERVALS_S:
            name = f"{poll_interval_s:g} s"
            plan.say(f"trickle: poll interval {name}, run {number + 1} of {plan.runs}")
            measured = measure.child(
                "benchmarks.trickle:timed",
                _NO_URL,
                seconds=QUICK_SECONDS if plan.quick else SECONDS,
                poll_interval_s=poll_interval_s,
            )
            runs.setdefault(name, []).append(measured["ours"])
            if poll_interval_s == POLL_INTERVAL_S:
                runs.setdefault("four_calls", []).append(measured["four_calls"])
    yield measure.line({"benchmark": "trickle", "contender": "four_calls"}, runs.pop("four_calls"))
    for name, done in runs.items():
        yield measure.line({"benchmark": "trickle", "contender": "ours", "poll_interval": name}, done)


class _Done(Counter):
    """Hands on which records the function has succeeded on."""

    def __init__(self) -> None:
        super().__init__()
        self.identifiers: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        super().processed(source, identifiers, at)
        self.identifiers.put(identifiers)


def timed(seconds: int, poll_interval_s: float) -> dict[str, Any]:
    """Runs in a process of its own, which is the pipeline's."""
    from local import pipeline

    done = _Done()
    with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as logs:
        plan = pipeline.Plan(endpoint.STAGE, Path(logs), poll_interval_s=poll_interval_s)
        with pipeline.running(plan, done, lambda _: None):
            latencies_ms = _trickle(done, seconds)
            four = _FourCalls()
            four_ms = [four.ms(data) for data in dataset.wire_events(ROUNDS, ROUNDS)]
    ordered = sorted(latencies_ms[3:])  # the first ones start the sandboxes
    four_calls = {"p50_ms": statistics.median(four_ms), "p99_ms": percentile(sorted(four_ms), 99)}
    ours = {
        "p50_ms": statistics.median(ordered),
        "p99_ms": percentile(ordered, 99),
        "expected_ms": poll_interval_s * 1000 / 2 + CALLS * four_calls["p50_ms"],
    }
    return {"ours": ours, "four_calls": four_calls}


def _trickle(done: _Done, seconds: int) -> list[float]:
    from chalicelib import settings, wiring
    from local import aws

    kinesis = aws.client("kinesis")
    history = wiring.history_for_reading()
    events = dataset.wire_events(int(RATE * seconds) + 3, int(RATE * seconds))
    began: dict[str, tuple[float, str]] = {}  # by sequence number: when, and which product
    noted = threading.Condition()
    latencies_ms: list[float] = []

    def read_back() -> None:
        while len(latencies_ms) < len(events):
            for identifier in done.identifiers.get():
                with noted:
                    while identifier not in began:  # the pipeline was quicker than PutRecord's answer
                        noted.wait()
                    at, serial = began[identifier]
                assert history.page(serial, limit=1).events, f"{serial} is not there"
                latencies_ms.append((time.perf_counter() - at) * 1000)

    reading = threading.Thread(target=read_back)
    reading.start()
    started = time.perf_counter()
    for number, data in enumerate(events):
        time.sleep(max(0.0, started + number / RATE - time.perf_counter()))
        serial = dataset.serial_of(data)
        at = time.perf_counter()
        answer = kinesis.put_record(StreamName=settings.stream_name(), Data=data, PartitionKey=serial)
        with noted:
            began[answer["SequenceNumber"]] = (at, serial)
            noted.notify()
    reading.join()
    return latencies_ms


class _FourCalls:
    """The four calls for one event, on a stream of their own."""

    def __init__(self) -> None:
        from chalicelib import settings
        from local import aws

        self._kinesis = aws.client("kinesis")
        self._dynamodb = aws.client("dynamodb")
        self._table = settings.history_table()
        self._stream = f"bench-{uuid.uuid4().hex[:8]}"
        self._kinesis.create_stream(StreamName=self._stream, ShardCount=1)
        self._kinesis.get_waiter("stream_exists").wait(StreamName=self._stream, WaiterConfig={"Delay": 1})
        (shard,) = self._kinesis.list_shards(StreamName=self._stream)["Shards"]
        self._iterator = self._kinesis.get_shard_iterator(
            StreamName=self._stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def ms(self, data: bytes) -> float:
        """How long they take together, by a plain client."""
        serial = dataset.serial_of(data)
        started = time.perf_counter()
        self._kinesis.put_record(StreamName=self._stream, Data=data, PartitionKey=serial)
        answer = self._kinesis.get_records(ShardIterator=self._iterator)
        (record,) = answer["Records"]
        item = contenders.mapped_item(json.loads(record["Data"]))
        self._dynamodb.batch_write_item(RequestItems={self._table: [{"PutRequest": {"Item": item}}]})
        found = self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression="serial = :serial",
            ExpressionAttributeValues={":serial": {"S": serial}},
            Limit=1,
        )
        seconds = time.perf_counter() - started
        assert found["Items"], f"{serial} is not there"
        self._iterator = answer["NextShardIterator"]
        return seconds * 1000
