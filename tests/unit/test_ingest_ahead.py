"""How far decoding runs ahead of writing, and how many requests a function has in flight."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import ingest, wiring
from chalicelib.history import MAX_BATCH_ITEMS, Item, Written
from chalicelib.records import Record
from chalicelib.storage import Deadline
from tests.lambda_events import wire


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

    with ThreadPoolExecutor(1) as executor:
        executor.submit(until_nothing_more_is_taken, history)  # the only thread that writes
        outcome = ingest.ingest(history.records(10_000), history, quarantine, Deadline(60), executor)

    assert (outcome.records, outcome.stored) == (10_000, 10_000)
    assert outcome.types == {"production": 10_000}
    assert history.most_ahead <= (ingest.REQUESTS_AHEAD + 1) * MAX_BATCH_ITEMS + 1


@pytest.mark.parametrize(("memory_mb", "writers"), [(128, 4), (512, 16), (1024, 32), (10_240, 32)])
def test_requests_in_flight_follow_the_memory_and_with_it_the_cpu(memory_mb: int, writers: int) -> None:
    assert wiring.writers_for(memory_mb) == writers


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread be kept on a core")
def test_all_writers_share_one_core_and_the_thread_that_decodes_goes_where_it_likes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = os.sched_getaffinity(0)
    if len(before) == 1:
        pytest.skip("this machine has one core")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
    wiring.reset()
    together = threading.Barrier(4)

    def cores() -> set[int]:
        together.wait(timeout=30)  # so that each writer has one
        return os.sched_getaffinity(0)

    with wiring.writers() as writers:
        asked = [writers.submit(cores) for _ in range(4)]
        answered = [each.result() for each in asked]
    wiring.reset()
    assert answered == [answered[0]] * 4
    assert len(answered[0]) == 1
    assert os.sched_getaffinity(0) == before


def test_writers_work_where_the_operating_system_forbids_to_choose_a_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden, raising=False)
    wiring.reset()
    with wiring.writers() as writers:
        assert writers.submit(int, "7").result() == 7
    wiring.reset()
