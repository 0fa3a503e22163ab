"""A stream, a queue and a function, and mappings between them on a real endpoint, for tests."""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from local.aws import client
from local.event_sources.checkpoints import Checkpoints
from local.event_sources.failure_destination import FailureDestination
from local.event_sources.kinesis import KinesisMapping
from local.event_sources.observer import Invocation, Observer
from local.event_sources.settings import KinesisSettings
from local.event_sources.shard_runner import MappingParts
from local.sandbox.outcome import Outcome
from local.sandbox.pool import SandboxPool
from tests.support.shard_machines import no_backoff
from tests.support.waiting import eventually, whole_lines


class Watcher(Observer):
    """An observer that remembers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.invocations: list[Invocation] = []
        self.done: list[str] = []
        self.bisects: list[int] = []
        self.given_up: list[tuple[Sequence[str], str]] = []

    def invoked(self, invocation: Invocation) -> None:
        """Remembered."""
        with self._lock:
            self.invocations.append(invocation)

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """Remembered."""
        with self._lock:
            self.done += identifiers

    def bisected(self, source: str, batch_size: int) -> None:
        """Remembered."""
        with self._lock:
            self.bisects.append(batch_size)

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Remembered."""
        with self._lock:
            self.given_up.append((identifiers, condition))


class Rig:
    """One stream with a function that notes what it is given (`tests.support.handlers.note`)."""

    def __init__(
        self, directory: Path, *, shards: int = 1, kinesis_url: str | None = None, timeout_s: float = 30.0
    ) -> None:
        name = uuid.uuid4().hex[:8]
        self.stream = f"stream-{name}"
        self.function = "note"
        self.table = f"checkpoints-{name}"
        self.notes_path = directory / f"notes-{name}"
        self.notes_path.touch()
        with pytest.MonkeyPatch.context() as patched:
            if kinesis_url is not None:
                patched.setenv("AWS_ENDPOINT_URL_KINESIS", kinesis_url)
            self.kinesis = client("kinesis")
        self.sqs = client("sqs")
        self.dynamodb = client("dynamodb")
        self.watcher = Watcher()
        self.pool = SandboxPool(
            handler="tests.support.handlers.note",
            environment={"NOTES": str(self.notes_path), "AWS_DEFAULT_REGION": "eu-west-1"},
            timeout_s=timeout_s,
            log_path=directory / "log",
        )
        self.queue = self.sqs.create_queue(QueueName=f"failures-{name}")["QueueUrl"]
        self.create_stream(shards)
        self._started: list[KinesisMapping] = []

    def create_stream(self, shards: int) -> None:
        """Make the stream, and wait for it."""
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=shards)
        assert eventually(self.is_active)

    def is_active(self) -> bool:
        """Whether the stream takes calls."""
        with contextlib.suppress(self.kinesis.exceptions.ResourceNotFoundException):
            summary = self.kinesis.describe_stream_summary(StreamName=self.stream)
            return summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
        return False

    def put(self, *data: Any, key: str | None = None) -> list[str]:
        """Put records and return their sequence numbers; each record its own key unless one is given."""
        numbers = []
        for start in range(0, len(data), 500):
            answer = self.kinesis.put_records(
                StreamName=self.stream,
                Records=[
                    {
                        "Data": json.dumps(datum).encode(),
                        "PartitionKey": key or datum.get("key") or uuid.uuid4().hex,
                    }
                    for datum in data[start : start + 500]
                ],
            )
            assert answer["FailedRecordCount"] == 0
            numbers += [each["SequenceNumber"] for each in answer["Records"]]
        return numbers

    def mapping(
        self,
        *,
        invoke: Callable[[bytes], Outcome] | None = None,
        clock: Callable[[], float] = time.time,
        failure_queue: str | None = None,
        poll_interval_s: float = 0.05,
        **settings: Any,
    ) -> KinesisMapping:
        """A mapping of the stream to the function; without backoff, with partial responses."""
        mapping = KinesisMapping(
            MappingParts(
                settings=KinesisSettings(**{"partial_responses": True, **settings}),
                stream=self.stream,
                function=self.function,
                invoke=invoke or self.pool.invoke,
                kinesis=self.kinesis,
                checkpoints=Checkpoints(self.dynamodb, self.table),
                failures=FailureDestination(self.sqs, failure_queue or self.queue, clock),
                observer=self.watcher,
                poll_interval_s=poll_interval_s,
                backoff=no_backoff,
                clock=clock,
            )
        )
        self._started.append(mapping)
        return mapping

    @contextlib.contextmanager
    def running(self, **settings: Any) -> Iterator[KinesisMapping]:
        """A mapping that runs, and is stopped afterwards."""
        mapping = self.mapping(**settings)
        mapping.start()
        try:
            yield mapping
        finally:
            mapping.stop()

    def notes(self) -> list[list[dict[str, Any]]]:
        """The records of each invocation, in the order in which the function noted them."""
        return [json.loads(line)["records"] for line in whole_lines(self.notes_path)]

    def delivered(self) -> list[list[str]]:
        """The sequence numbers of each invocation."""
        return [[each["kinesis"]["sequenceNumber"] for each in records] for records in self.notes()]

    def failures(self) -> list[dict[str, Any]]:
        """The invocation records on the failure queue, which holds them no more afterwards."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def close(self) -> None:
        """End everything."""
        for mapping in self._started:
            mapping.stop(grace_s=0)
        self.pool.close()
        with contextlib.suppress(self.kinesis.exceptions.ResourceNotFoundException):
            self.kinesis.delete_stream(StreamName=self.stream)
        self.sqs.delete_queue(QueueUrl=self.queue)
        for each in (self.kinesis, self.sqs, self.dynamodb):
            each.close()


@contextlib.contextmanager
def rigged(directory: Path, **how: Any) -> Iterator[Rig]:
    """A rig of the test's own, ended afterwards."""
    rig = Rig(directory, **how)
    try:
        yield rig
    finally:
        rig.close()


def flat(lists: list[list[str]]) -> list[str]:
    """The sequence numbers of all invocations, one after the other."""
    return [number for numbers in lists for number in numbers]


def by_number(numbers: list[str]) -> list[str]:
    """In the order of the stream."""
    return sorted(numbers, key=int)
