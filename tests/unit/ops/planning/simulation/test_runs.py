"""Figures of simulated runs that can be said in advance."""

import math
from dataclasses import replace

import pytest

from ops.planning.simulation.output import backlog
from ops.planning.simulation.scenario import OfferedLoad, Settings
from tests.support.simulations import STEADY, UNLIMITED, ran


def test_a_burst_on_one_unlimited_shard_takes_its_invocations_one_after_the_other() -> None:
    result = ran(
        replace(UNLIMITED, shards=1, batch_size=100, handler_s=0.1, record_s=0.001), OfferedLoad(burst=1_000)
    )

    # Ten batches of 0.2 s, after 0.04 s for the request and a poll.
    assert result.invocations == 10
    assert 2.04 <= result.drained_s <= 2.04 + 0.01 + 1e-6
    assert result.lambda_s == pytest.approx(2.0)


def test_two_lanes_halve_that() -> None:
    pipeline = replace(UNLIMITED, shards=1, batch_size=100, handler_s=0.1, record_s=0.001, parallelization=2)

    assert ran(pipeline, OfferedLoad(burst=1_000)).drained_s == pytest.approx(1.04, abs=0.02)


def test_a_shard_takes_a_thousand_records_a_second_and_refuses_the_rest() -> None:
    result = ran(replace(STEADY, shards=1), OfferedLoad(burst=10_000))

    assert result.put_throttles > 1_000
    assert result.drained_s > 9.0  # a second's worth may come at once
    assert result.rejected == 0


def test_aggregated_events_count_as_records_for_shards_and_as_events_for_the_table() -> None:
    load = OfferedLoad(burst=24_000, events_per_record=24)
    result = ran(replace(STEADY, shards=1), load)
    tight = ran(replace(STEADY, shards=1, write_units_s=1_000), load)

    assert result.stored == result.events == 24_000
    assert sum(moment.stored for moment in result.timeline) == 24_000
    # 1,000 records of 23.5 KB take a shard 22.7 s, of which one comes at once.
    assert load.record_bytes == 20 + 11 + 24 * (972 + 21)
    assert 21 < result.drained_s < 30
    assert result.records_given == 1_000
    assert tight.drained_s > 23


def test_a_burst_that_fills_no_record_is_rounded_up_to_whole_ones() -> None:
    result = ran(STEADY, OfferedLoad(burst=25, events_per_record=24))

    assert result.stored == result.events == 48


def test_a_shard_takes_a_megabyte_a_second_of_larger_records() -> None:
    result = ran(
        replace(STEADY, shards=1, write_units_s=math.inf), OfferedLoad(burst=1_000, event_bytes=10_000)
    )

    # 1,000 x 10,011 bytes are 9.55 MiB, of which one may come at once.
    assert result.drained_s > 8.5


def test_a_batching_window_makes_fewer_invocations_and_older_records() -> None:
    flow = OfferedLoad(events_s=20, seconds=300)
    at_once, windowed = ran(STEADY, flow), ran(replace(STEADY, window_s=5.0), flow)

    assert at_once.invocations == pytest.approx(4 * 300, rel=0.02)  # a poll a second and shard
    assert windowed.invocations < at_once.invocations / 3
    assert windowed.iterator_age_s < 7
    p50 = windowed.latency_s["p50"], at_once.latency_s["p50"]
    assert p50[0] is not None
    assert p50[1] is not None
    assert p50[0] > p50[1]


def test_the_next_window_begins_when_an_invocation_ends() -> None:
    slow = replace(UNLIMITED, handler_s=2.0, window_s=5.0, batch_size=10_000, poll_s=1.0)
    result = ran(slow, OfferedLoad(events_s=20, seconds=350))

    assert result.invocations <= 4 * 350 / 7 + 8


def test_a_shard_is_not_read_on_while_its_function_is_behind() -> None:
    slow = replace(UNLIMITED, shards=1, handler_s=5.0, poll_s=1.0)
    result = ran(slow, OfferedLoad(events_s=500, seconds=100))

    assert result.reads < 50, "a hundred seconds' worth takes five hundred to store"


def test_a_burst_in_an_even_flow_is_stored_long_before_the_flow_ends() -> None:
    result = ran(replace(STEADY, shards=8), OfferedLoad(events_s=50, seconds=120, burst=20_000, burst_at=20))

    assert result.burst_stored_s is not None
    assert result.burst_stored_s < 30
    assert 119 < result.drained_s < 123


@pytest.mark.parametrize("events_per_day", [1_000, 10_000, 100_000, 1_000_000])
def test_a_small_even_flow_makes_a_burst_no_later(events_per_day: int) -> None:
    burst = OfferedLoad(burst=1_000, burst_at=600)
    alone, beside = (
        ran(STEADY, burst),
        ran(STEADY, replace(burst, events_s=events_per_day / 86_400, seconds=1_800)),
    )

    assert alone.burst_stored_s is not None
    assert beside.burst_stored_s is not None
    assert beside.burst_stored_s == pytest.approx(alone.burst_stored_s, abs=STEADY.poll_s)


def test_a_burst_is_stored_when_its_last_event_is_and_not_when_as_many_others_are() -> None:
    # Two of three keys are on one shard, which takes in 20,000 of the burst beside 400 a second of the flow.
    result = ran(replace(STEADY, shards=2), OfferedLoad(events_s=600, seconds=100, burst=30_000, keys=3))

    assert result.burst_stored_s is not None
    assert result.burst_stored_s > (20_000 - 1_000) / (1_000 - 400)


def test_what_cannot_be_written_in_time_is_reported_and_written_later() -> None:
    result = ran(replace(STEADY, timeout_s=5.0, write_units_s=100), OfferedLoad(burst=2_000))

    assert result.partial_invocations > 0
    assert result.stored == 2_000


def test_a_table_that_takes_less_than_an_event_a_second_stores_it_from_what_it_saves_up() -> None:
    slow = replace(STEADY, shards=1, timeout_s=60.0, write_units_s=2, saved_s=300)
    result = ran(slow, OfferedLoad(burst=4, event_bytes=300_000))

    # 294 units each, of which 600 are there at first: the last ones are there after 288 s.
    assert result.stored == 4
    assert 288 < result.drained_s < 320
    assert result.partial_invocations > 3


def test_an_event_that_no_invocation_can_write_ends_as_a_dead_letter() -> None:
    slow = replace(STEADY, shards=1, timeout_s=10.0, retry_attempts=1, write_units_s=1, saved_s=300)
    result = ran(slow, OfferedLoad(burst=2, event_bytes=300_000))

    # The second one waits for 288 units: twice 10 s bring it 20.
    assert (result.stored, result.dead_lettered) == (1, 1)
    assert result.partial_invocations == 3


def test_a_crash_halves_the_batch_and_loses_nothing() -> None:
    result = ran(replace(STEADY, failing=0.2), OfferedLoad(burst=5_000))

    assert result.failed_invocations > 0
    assert result.stored == 5_000


def test_a_record_that_crashes_every_time_ends_as_a_dead_letter() -> None:
    result = ran(replace(STEADY, failing=0.9, retry_attempts=0, batch_size=1), OfferedLoad(burst=200))

    assert result.dead_lettered > 100
    assert result.stored + result.dead_lettered == 200


def test_a_record_is_tried_again_as_often_as_is_said() -> None:
    result = ran(
        replace(UNLIMITED, handler_s=1.0, timeout_s=0.001, retry_attempts=2_000), OfferedLoad(burst=1)
    )

    assert result.dead_lettered == 1
    assert result.invocations == 2_001


def test_what_is_given_up_is_left_until_then() -> None:
    load = OfferedLoad(burst=40)
    result = ran(replace(UNLIMITED, shards=1, handler_s=70.0, timeout_s=60.0, retry_attempts=0), load)
    left = backlog(load, result)

    assert result.dead_lettered == 40
    assert left[0][1] == 40, "nothing is given up before a minute has passed"
    assert left[-1][1] == 0


def test_an_invocation_past_its_timeout_is_ended_and_nothing_of_it_stored() -> None:
    slow = replace(UNLIMITED, shards=1, handler_s=70.0, timeout_s=60.0, retry_attempts=2)
    result = ran(slow, OfferedLoad(burst=4))

    # Halved to single records, each tried three times: a batch of four, two of two, twelve of one.
    assert result.stored == 0
    assert result.dead_lettered == 4
    assert result.invocations == result.failed_invocations == result.timed_out_invocations == 1 + 2 + 12
    assert result.lambda_s == pytest.approx(15 * 60.0)


def test_a_batch_too_large_for_the_timeout_is_halved_until_it_is_not() -> None:
    slow = replace(UNLIMITED, shards=1, batch_size=400, record_s=0.2, handler_s=0.0, timeout_s=60.0)
    result = ran(slow, OfferedLoad(burst=400))

    assert result.timed_out_invocations == 1, "400 take 80 s"
    assert result.invocations == 3
    assert result.stored == 400
    assert 60 + 80 < result.drained_s < 60 + 80 + 1


def test_the_start_of_a_sandbox_is_not_part_of_the_timeout() -> None:
    result = ran(replace(UNLIMITED, handler_s=4.0, cold_start_s=3.0, timeout_s=5.0), OfferedLoad(burst=100))

    assert result.timed_out_invocations == 0
    assert result.stored == 100


def test_a_burst_late_in_the_day_costs_no_reads_before_it() -> None:
    result = ran(STEADY, OfferedLoad(burst=100, burst_at=1_000_000.0))

    assert result.reads < 100
    assert result.burst_stored_s is not None
    assert result.burst_stored_s < 3


def test_lanes_beyond_the_concurrency_wait_their_turn() -> None:
    pipeline = replace(UNLIMITED, shards=8, handler_s=0.2)
    capped = ran(replace(pipeline, concurrency=2), OfferedLoad(burst=20_000))

    assert capped.concurrency == 2
    assert capped.concurrency_throttles > 0
    assert capped.drained_s > ran(pipeline, OfferedLoad(burst=20_000)).drained_s * 3


def test_a_sandbox_starts_once() -> None:
    result = ran(replace(UNLIMITED, shards=3, cold_start_s=0.7), OfferedLoad(burst=9_000))

    assert result.cold_starts == 3
    assert result.latency_s["p50"] is not None
    assert 0.7 < result.drained_s < 3


def test_a_table_that_saves_unused_units_takes_a_burst_at_once() -> None:
    load = OfferedLoad(burst=20_000)

    assert ran(replace(STEADY, write_units_s=100, saved_s=300), load).drained_s < 15
    assert ran(replace(STEADY, write_units_s=100, saved_s=1), load).drained_s > 190


def test_a_minute_of_a_billion_events_a_day_is_simulated_batch_by_batch() -> None:
    pipeline = replace(STEADY, shards=14, write_units_s=20_000)
    result = ran(pipeline, OfferedLoad(events_s=1e9 / 86_400, seconds=60))

    assert result.events == 694_444
    # 827 records a second and shard, read once a second: two invocations each.
    assert result.invocations == pytest.approx(14 * 60 * 2, rel=0.05)
    assert result.iterator_age_s < 2


def test_keys_on_one_shard_wait_for_each_other() -> None:
    even, one_key = ran(STEADY, OfferedLoad(burst=10_000)), ran(STEADY, OfferedLoad(burst=10_000, keys=1))

    assert one_key.drained_s > even.drained_s * 2


@pytest.mark.parametrize(
    "wrong",
    [{"shards": 0}, {"poll_s": 0.0}, {"write_units_s": 0.0}, {"failing": 1.0}, {"write_units_s": math.nan}],
)
def test_a_pipeline_that_could_never_finish_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="|".join(wrong)):
        Settings(**wrong)  # type: ignore[arg-type]  # an int or a float, by name


def test_a_table_that_never_has_the_units_of_one_event_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs 2 write units at once, the table never has more than 1$"):
        ran(replace(STEADY, write_units_s=1), OfferedLoad(burst=1, event_bytes=1_000))
