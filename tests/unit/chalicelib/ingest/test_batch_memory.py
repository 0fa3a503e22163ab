"""How far decoding runs ahead of writing, and how many requests a function has in flight."""

import json
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator

from chalicelib import wiring
from chalicelib.deadline import Deadline
from chalicelib.ingest import batch as ingest
from chalicelib.ingest.writers import Writers
from chalicelib.stream.records import Record, from_lambda_event
from chalicelib.tables.cases import Case
from chalicelib.tables.history import MAX_BATCH_ITEMS, Written
from chalicelib.tables.items import Item
from tests.support.lambda_events import batch, wire


class SlowHistory:
    """Notes, at every write, how many records have been taken and not been written."""

    def __init__(self) -> None:
        self.taken = 0
        self.written = 0
        self.most_ahead = 0

    def records(self, count: int) -> Iterator[Record]:
        for number in range(count):
            self.taken += 1
            self.most_ahead = max(self.most_ahead, self.taken - self.written)
            yield Record(
                stream="s",
                shard_id="shardId-0",
                sequence_number=str(number),
                partition_key="SN-1",
                arrived_at_ms=1,
                data=wire(event_id=str(number)),
            )

    def write(self, items: Sequence[Item], deadline: Deadline) -> Written:
        self.written += len(items)
        return Written(unfinished=[], refused=[])


def until_nothing_more_is_taken(history: SlowHistory) -> None:
    seen = -1
    while seen != history.taken:
        seen = history.taken
        time.sleep(0.1)


def test_a_batch_of_10_000_records_is_not_held_in_memory_as_items() -> None:
    history: Any = SlowHistory()
    quarantine: Any = None  # every record is an event

    writers = Writers(1)
    writers.submit(until_nothing_more_is_taken, history)  # on the only thread that writes
    outcome = ingest.ingest(history.records(10_000), history, quarantine, Deadline(60), writers)

    assert (outcome.records, outcome.stored) == (10_000, 10_000)
    assert outcome.types == {"production": 10_000}
    assert history.most_ahead <= (ingest.REQUESTS_AHEAD + 1) * MAX_BATCH_ITEMS + 1


@pytest.mark.parametrize(("memory_mb", "writers"), [(128, 4), (512, 16), (1024, 32), (10_240, 32)])
def test_requests_in_flight_follow_the_memory_and_with_it_the_cpu(memory_mb: int, writers: int) -> None:
    assert wiring.writers_for(memory_mb) == writers


def with_memory(event: dict[str, Any], quarantine: Any) -> tuple[ingest.Outcome, int]:
    """What became of a Lambda event, and the most bytes that it took."""
    history: Any = SlowHistory()
    tracemalloc.start()
    try:
        outcome = ingest.ingest(from_lambda_event(event), history, quarantine, Deadline(60), Writers(1))
        return outcome, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_largest_lambda_event_takes_a_few_times_its_own_size() -> None:
    """Lambda delivers at most 6 MB, in Base64: here 15 records with 300 KB of metadata each."""
    event = batch([wire(f"SN-{number}", metadata={"text": "x" * 300_000}) for number in range(15)])
    size = len(json.dumps(event))
    outcome, most = with_memory(event, quarantine=None)  # every record is an event

    assert outcome.stored == 15
    assert 5_900_000 < size < 6_291_556
    assert most < 3 * size


def test_a_batch_of_aggregates_full_of_what_is_no_event_takes_no_more() -> None:
    aggregator = RecordAggregator()
    for _ in range(1000):
        aggregator.add_user_record("SN-1", b"")
    event = batch([aggregator.clear_and_get().get_contents()[2]] * 100)
    set_aside: list[Case] = []

    class NoQuarantine:
        def put_patiently(self, case: Case, deadline: Deadline) -> bool:
            set_aside.append(case)
            return True

    outcome, most = with_memory(event, NoQuarantine())

    assert outcome.records == 100_000
    assert len(set_aside) == 1000 + 99
    assert most < 16_000_000


def test_once_time_is_up_nothing_more_is_looked_at_than_where_lambda_resumes() -> None:
    """A small function decodes so slowly that looking at the rest would outlast the invocation."""
    history: Any = SlowHistory()
    now = [0.0]
    deadline = Deadline(60, clock=lambda: now[0])

    def records() -> Iterator[Record]:
        for number, record in enumerate(history.records(10_000)):
            now[0] = 0.0 if number < 1000 else 60.0
            yield record

    outcome = ingest.ingest(records(), history, None, deadline, Writers(1))  # type: ignore[arg-type]

    assert history.taken == 1001
    assert max(int(record.sequence_number) for record in outcome.unfinished) == 1000
    assert outcome.stored + len(outcome.unfinished) == 1001


def test_what_is_to_be_set_aside_when_time_is_up_is_unfinished_and_not_asked_for() -> None:
    history: Any = SlowHistory()
    now = [0.0]
    deadline = Deadline(60, clock=lambda: now[0])
    asked: list[Case] = []

    class NoQuarantine:
        def put_patiently(self, case: Case, deadline: Deadline) -> bool:
            asked.append(case)
            return False

    def records() -> Iterator[Record]:
        (record,) = from_lambda_event(batch([b"not json"]))
        yield record
        now[0] = 60.0

    outcome = ingest.ingest(records(), history, NoQuarantine(), deadline, Writers(1))  # type: ignore[arg-type]

    assert (len(outcome.unfinished), asked) == (1, [])
