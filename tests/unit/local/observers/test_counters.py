"""The figures of a run, from what the mappings and the producer say."""

import pytest

from local.observers.counters import Counter, Stopwatch, percentile
from producer.entry import Entry
from tests.support.invocations import an_invocation

EVENT, POISON = Entry(b"{}", "SN-1"), Entry(b"x", "SN-1", "poison")


def test_latency_is_from_acceptance_to_success_whichever_is_heard_of_first() -> None:
    watch = Stopwatch()

    watch.accepted(EVENT, "shard-0", "1", 10.0)
    watch.processed("shard-0", ["1", "2"], 10.5)
    watch.accepted(EVENT, "shard-0", "2", 10.4)

    assert watch.latency_ms() == {"p50": 100.0, "p95": 500.0, "p99": 500.0}
    assert watch.outstanding == 0
    assert (watch.last_accepted_at, watch.last_done_at) == (10.4, 10.5)


def test_percentiles_are_of_the_nearest_rank() -> None:
    watch = Stopwatch()
    for number in range(1, 201):
        watch.accepted(EVENT, "shard-0", str(number), 0.0)
        watch.processed("shard-0", [str(number)], number / 1000)

    assert watch.latency_ms() == {"p50": 100.0, "p95": 190.0, "p99": 198.0}


@pytest.mark.parametrize(("rank", "value"), [(50, 5), (90, 9), (99, 10), (1, 1)])
def test_percentiles_are_values_that_were_measured(rank: int, value: int) -> None:
    assert percentile(list(range(1, 11)), rank) == value


def test_without_events_there_is_no_latency() -> None:
    assert Stopwatch().latency_ms() == {"p50": None, "p95": None, "p99": None}


def test_poison_is_waited_for_and_not_timed() -> None:
    watch = Stopwatch()

    watch.accepted(POISON, "shard-0", "1", 10.0)
    assert watch.outstanding == 1
    watch.processed("shard-0", ["1", "2"], 10.5)
    watch.accepted(POISON, "shard-0", "2", 10.0)

    assert watch.outstanding == 0
    assert watch.latency_ms()["p50"] is None


def test_a_record_given_up_is_no_longer_waited_for_and_not_timed() -> None:
    watch = Stopwatch()

    watch.accepted(EVENT, "shard-0", "1", 10.0)
    watch.discarded("shard-0", ["1", "2"], "RetryAttemptsExhausted")
    watch.accepted(EVENT, "shard-0", "2", 10.0)

    assert watch.outstanding == 0
    assert watch.latency_ms()["p50"] is None
    assert watch.counts().discarded == 2


def test_the_same_sequence_number_in_two_shards_is_two_records() -> None:
    watch = Stopwatch()

    watch.accepted(EVENT, "shard-0", "1", 10.0)
    watch.processed("shard-1", ["1"], 10.5)

    assert watch.outstanding == 1


def test_counts_are_of_everything_and_the_age_is_the_largest() -> None:
    counter = Counter()

    counter.invoked(an_invocation(iterator_age_ms=5))
    counter.invoked(an_invocation(outcome="timeout", iterator_age_ms=70, attempt=2))
    counter.invoked(an_invocation(outcome="partial", iterator_age_ms=20))
    counter.processed("shard-0", ["1", "2", "3"], 1.0)
    counter.bisected("shard-0", 10)
    counter.bisected("shard-0", 5)
    counter.discarded("shard-0", ["4", "5"], "RetryAttemptsExhausted")

    counts = counter.counts()
    assert (counts.invocations, counts.failed_invocations, counts.processed) == (3, 1, 3)
    assert (counts.bisects, counts.bisected_from, counts.iterator_age_ms_max) == (2, 10, 70)
    assert (counts.retries, counts.discarded, counts.dead_letter_messages) == (1, 2, 1)
