"""Numbers of a running pipeline: shards, batches, rates, percentiles."""

from local.observers.gauges import BatchSizes, Gauges, Rates, ShardGauge, Totals, percentiles
from tests.support.invocations import an_invocation

NOW = 1_795_205_567.0


def test_with_nothing_in_hand_the_latest_batch_says_how_late_it_was_for_a_minute() -> None:
    shard = ShardGauge(batches=1, iterator_age_ms=12_300.0, last_at=NOW)

    assert shard.age_ms(NOW + 60) == 12_300.0
    assert shard.age_ms(NOW + 61) is None


def test_what_the_queue_s_mapping_does_is_not_taken_for_a_shard() -> None:
    gauges = Gauges()

    gauges.invoked(an_invocation("dead-letters", attempt=3, batch_size=1))
    gauges.processed("dead-letters", ["m"], NOW)

    assert gauges.shards() == {}
    assert gauges.counts().invocations == 1
    assert gauges.batch_sizes() == BatchSizes(0.0, 0)


def test_rates_are_over_the_latest_seconds() -> None:
    rates = Rates()
    for second in range(20):
        rates.add(NOW + second, Totals(read=100 * second if second < 10 else 1000, stored=second))

    read, stored, requests = rates.per_second()

    assert (read, stored, requests) == (0.0, 1.0, 0.0)


def test_percentiles_forget_what_is_older_than_a_minute() -> None:
    kept = [(NOW - 61, [9000.0]), (NOW - 59, [float(number) for number in range(1, 101)])]

    assert percentiles(kept, NOW) == (50.0, 99.0)
    assert percentiles(kept, NOW + 60) == (None, None)
