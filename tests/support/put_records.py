"""The producer's PutRecords on the real endpoint, which here can also do what that never does."""

import itertools
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import boto3
from botocore.exceptions import ClientError

from producer.entry import Entry
from producer.limits import MAX_RECORDS
from producer.putter import Putter
from producer.send import client

STREAM = f"lifecycle-putter-{uuid.uuid4().hex[:8]}"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Kinesis:
    """The real endpoint's PutRecords, which can also do what the endpoint never does.

    `refuse` is asked for each record, as on AWS where single records of a request are refused while the
    others are carried out.  `fail` is asked for each request, with its number from 0, and returns an error
    to raise instead of, or (`is_late`) after carrying it out, as when the answer is lost.  `in_parts` takes
    requests over 5 MiB, as AWS does since 2025 and the endpoint does not.
    """

    def __init__(
        self,
        refuse: Callable[[bytes], bool] = lambda data: False,
        fail: Callable[[int], Exception | None] = lambda number: None,
        is_late: bool = False,
        in_parts: bool = False,
    ) -> None:
        self._real = client()
        self._refuse = refuse
        self._fail = fail
        self._is_late = is_late
        self._in_parts = in_parts
        self._numbers = itertools.count()
        self.requests: list[Sequence[Any]] = []

    def put_records(self, StreamName: str, Records: Sequence[Any]) -> Any:
        self.requests.append(Records)
        error = self._fail(next(self._numbers))
        if error is not None and not self._is_late:
            raise error
        refused = [self._refuse(record["Data"]) for record in Records]
        kept = [record for record, is_refused in zip(Records, refused, strict=True) if not is_refused]
        step = 5 if self._in_parts else MAX_RECORDS
        answered = iter(
            [
                result
                for start in range(0, len(kept), step)
                for result in self._real.put_records(
                    StreamName=StreamName, Records=kept[start : start + step]
                )["Records"]
            ]
        )
        if error is not None:
            raise error
        throttled = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        return {"Records": [throttled if is_refused else next(answered) for is_refused in refused]}


class Accepted:
    """What `on_accepted` was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Entry, str, int, float]] = []

    def __call__(self, entry: Entry, shard_id: str, sequence_number: str, at: float) -> None:
        self.calls.append((entry, shard_id, int(sequence_number), at))

    @property
    def entries(self) -> list[Entry]:
        return [entry for entry, *_ in self.calls]

    def in_stream_order(self) -> dict[str, list[bytes]]:
        """By partition key, the data in the order in which they lie on the stream."""
        by_key: dict[str, list[bytes]] = defaultdict(list)
        for entry, _, _, _ in sorted(self.calls, key=lambda call: call[2]):
            by_key[entry.partition_key].append(entry.data)
        return by_key


def some_entries(count: int, keys: int, size: int = 10) -> list[Entry]:
    """Entries of a run of their own, taking turns between so many partition keys."""
    run = uuid.uuid4().hex[:8]
    return [
        Entry(f"{run} {number}".encode().ljust(size, b"."), f"{run}-{number % keys}")
        for number in range(count)
    ]


def by_key(entries: Sequence[Entry]) -> dict[str, list[bytes]]:
    grouped: dict[str, list[bytes]] = defaultdict(list)
    for entry in entries:
        grouped[entry.partition_key].append(entry.data)
    return grouped


def putter(kinesis: Any, clock: Clock | None = None, **options: Any) -> Putter:
    clock = clock or Clock()
    options.setdefault("rng", random.Random(1))
    return Putter(kinesis, STREAM, clock=clock, sleep=clock.sleep, **options)


def refused_times(times: int) -> Callable[[bytes], bool]:
    """Refuses each record so often."""
    seen: dict[bytes, int] = defaultdict(int)

    def refuse(data: bytes) -> bool:
        seen[data] += 1
        return seen[data] <= times

    return refuse


def throttled() -> ClientError:
    return ClientError(
        {
            "Error": {"Code": "ProvisionedThroughputExceededException", "Message": "Rate exceeded"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        },  # type: ignore[typeddict-item]  # the other keys say nothing here
        "PutRecords",
    )


def read_back(shards: set[str]) -> list[tuple[str, bytes]]:
    """Everything on these shards, as partition key and data."""
    kinesis = boto3.client("kinesis")
    found = []
    for shard in shards:
        iterator = kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            page = kinesis.get_records(ShardIterator=iterator)
            found += [(record["PartitionKey"], record["Data"]) for record in page["Records"]]
            if not page["Records"]:
                break
            iterator = page["NextShardIterator"]
    return found


def sizes_of(kinesis: Kinesis) -> list[int]:
    """Bytes of each request, as PutRecords counts them."""
    return [
        sum(len(record["Data"]) + len(record["PartitionKey"]) for record in request)
        for request in kinesis.requests
    ]
