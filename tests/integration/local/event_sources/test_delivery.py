"""A real stream, a real mapping, a real function: what is delivered, in which batches, and when."""

import itertools
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.sandbox.outcome import Outcome
from tests.support.mappings import Rig, by_number, flat, rigged
from tests.support.waiting import eventually, pass_time


@pytest.fixture
def rig(aws: str, tmp_path: Path) -> Iterator[Rig]:
    with rigged(tmp_path) as rig:
        yield rig


@pytest.fixture
def wide(aws: str, tmp_path: Path) -> Iterator[Rig]:
    """Four shards, as the local stack has."""
    with rigged(tmp_path, shards=4) as rig:
        yield rig


def test_everything_on_every_shard_is_delivered_once_and_in_order(wide: Rig) -> None:
    sent = wide.put(*({"n": n, "key": f"product-{n % 37}"} for n in range(2000)))

    with wide.running(batch_size=100) as mapping:
        assert eventually(mapping.drained)

    assert Counter(flat(wide.delivered())) == Counter(sent)
    assert Counter(wide.watcher.done) == Counter(sent)
    per_key = defaultdict(list)
    for record in itertools.chain.from_iterable(wide.notes()):
        per_key[record["kinesis"]["partitionKey"]].append(record["kinesis"]["sequenceNumber"])
    assert len(per_key) == 37
    assert all(numbers == by_number(numbers) for numbers in per_key.values())


def test_a_batch_is_of_one_shard_and_no_larger_than_allowed(wide: Rig) -> None:
    wide.put(*({"n": n} for n in range(500)))

    with wide.running(batch_size=30) as mapping:
        assert eventually(mapping.drained)

    shards = {record["eventID"].split(":")[0] for records in wide.notes() for record in records}
    assert len(shards) == 4
    for records in wide.notes():
        assert len(records) <= 30
        assert len({record["eventID"].split(":")[0] for record in records}) == 1


def test_ten_records_put_at_once_are_one_batch(rig: Rig) -> None:
    """Recorded from AWS (test_create_kinesis_event_source_mapping)."""
    sent = rig.put(*({"n": n} for n in range(10)))

    with rig.running(batch_size=100) as mapping:
        assert eventually(mapping.drained)

    assert rig.delivered() == [sent]


def test_what_arrives_later_is_delivered_too(rig: Rig) -> None:
    with rig.running(batch_size=10) as mapping:
        sent = []
        for n in range(3):
            sent += rig.put({"n": n})
            assert eventually(mapping.drained)
            assert flat(rig.delivered()) == sent


def test_drained_is_never_true_too_early(rig: Rig) -> None:
    with rig.running(batch_size=10) as mapping:
        for n in range(20):
            (number,) = rig.put({"n": n})
            assert eventually(mapping.drained)
            assert rig.watcher.done[-1] == number


def test_whoever_asks_does_not_wait_for_the_poll_interval(rig: Rig) -> None:
    with rig.running(batch_size=10, poll_interval_s=600.0) as mapping:
        assert eventually(mapping.drained)
        sent = rig.put({"n": 1})
        assert eventually(mapping.drained)

    assert rig.delivered() == [sent]


def test_a_shard_that_has_just_brought_something_is_read_at_its_interval_all_the_same(rig: Rig) -> None:
    with rig.running(batch_size=10, poll_interval_s=600.0) as mapping:
        assert eventually(mapping.drained)
        first = rig.put({"n": 1})
        assert eventually(mapping.drained)
        second = rig.put({"n": 2})
        pass_time(1.0)
        assert rig.delivered() == [first]

        assert eventually(mapping.drained)

    assert rig.delivered() == [first, second]


def test_a_window_gathers_records_from_several_reads(rig: Rig) -> None:
    with rig.running(batch_size=3, window_s=300) as mapping:
        sent = [rig.put({"n": n})[0] for n in range(3)]
        assert eventually(mapping.drained)

    assert rig.delivered() == [sent]


def test_lanes_run_at_the_same_time_and_keep_a_keys_order(rig: Rig) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def invoke(event: bytes) -> Outcome:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        outcome = rig.pool.invoke(event)
        with lock:
            running -= 1
        return outcome

    sent = rig.put(*({"n": n, "key": f"product-{n % 20}"} for n in range(200)))
    with rig.running(batch_size=5, parallelization_factor=4, invoke=invoke) as mapping:
        assert eventually(mapping.drained)

    assert 2 <= most <= 4
    assert Counter(flat(rig.delivered())) == Counter(sent)
    per_key = defaultdict(list)
    for record in itertools.chain.from_iterable(rig.notes()):
        per_key[record["kinesis"]["partitionKey"]].append(record["kinesis"]["sequenceNumber"])
    assert all(numbers == by_number(numbers) for numbers in per_key.values())
