"""The simulation as a whole: nothing is lost, and answers move the right way."""

from dataclasses import replace

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chalicelib.deadline import MAX_PAUSE_S
from ops.planning.simulation.scenario import OfferedLoad, Result, Settings
from producer import limits
from tests.support.simulations import STEADY, UNLIMITED, ran

pipelines = st.builds(
    Settings,
    shards=st.integers(1, 6),
    batch_size=st.integers(1, 1000),
    parallelization=st.integers(1, 10),
    window_s=st.sampled_from([0.0, 0.5, 5.0]),
    retry_attempts=st.integers(0, 3),
    handler_s=st.floats(0, 0.5),
    record_s=st.floats(0, 0.001),
    jitter=st.floats(0, 0.5),
    cold_start_s=st.floats(0, 2),
    timeout_s=st.floats(2, 60),
    failing=st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    concurrency=st.integers(1, 20),
    write_units_s=st.floats(50, 10_000),
    saved_s=st.sampled_from([1.0, 300.0]),
)
loads = st.builds(
    OfferedLoad,
    events_s=st.floats(0, 200),
    seconds=st.floats(0, 30),
    burst=st.integers(0, 5_000),
    burst_at=st.floats(0, 20),
    event_bytes=st.integers(1, 3_000),
    events_per_record=st.sampled_from([1, 1, 2, 24]),
    keys=st.one_of(st.none(), st.integers(1, 500)),
)


@given(pipelines, loads, st.integers())
@hypothesis_settings(deadline=None)
def test_every_event_ends_stored_rejected_or_as_a_dead_letter(
    pipeline: Settings, load: OfferedLoad, seed: int
) -> None:
    result = ran(pipeline, load, seed)

    assert result.stored + result.rejected + result.dead_lettered == load.events
    assert sum(moment.stored for moment in result.timeline) == result.stored
    assert sum(moment.given_up for moment in result.timeline) == result.rejected + result.dead_lettered
    assert sum(moment.invocations for moment in result.timeline) == result.invocations
    assert result.concurrency <= min(pipeline.concurrency, pipeline.shards * pipeline.parallelization)
    assert result == ran(pipeline, load, seed), "the same seed gives the same run"


# Two runs draw different numbers.  Where shards refuse nothing, that moves polls and odd records.
def not_later(result: Result, than: Result) -> bool:
    return result.drained_s <= than.drained_s * 1.02 + 0.1


bursts = st.builds(OfferedLoad, burst=st.integers(5_000, 40_000))


@given(bursts, st.integers(1, 6), st.integers(1, 6))
@hypothesis_settings(deadline=None, max_examples=25)
def test_more_shards_store_a_burst_no_later(load: OfferedLoad, shards: int, more: int) -> None:
    few = ran(replace(STEADY, shards=shards), load)
    many = ran(replace(STEADY, shards=shards + more), load)

    # The last refused record may have drawn the longest pause.
    assert many.drained_s <= few.drained_s * 1.02 + limits.BACKOFF_LIMIT_S
    assert many.put_throttles <= few.put_throttles * 1.1 + 1_000


@given(bursts, st.integers(1, 9), st.integers(1, 5))
@hypothesis_settings(deadline=None, max_examples=25)
def test_more_lanes_store_a_burst_no_later(load: OfferedLoad, lanes: int, more: int) -> None:
    slow = replace(UNLIMITED, record_s=0.002)  # 500 a second and lane

    assert not_later(
        ran(replace(slow, parallelization=min(10, lanes + more)), load),
        ran(replace(slow, parallelization=lanes), load),
    )


@given(bursts, st.integers(10, 500), st.integers(2, 10))
@hypothesis_settings(deadline=None, max_examples=25)
def test_larger_batches_store_a_burst_no_later_and_in_fewer_invocations(
    load: OfferedLoad, size: int, times: int
) -> None:
    small = ran(replace(UNLIMITED, batch_size=size, handler_s=0.1), load)
    large = ran(replace(UNLIMITED, batch_size=size * times, handler_s=0.1), load)

    assert not_later(large, small)
    assert large.invocations <= small.invocations * 1.02 + 4


@given(bursts, st.floats(200, 4_000), st.floats(1.1, 10))
@hypothesis_settings(deadline=None, max_examples=25)
def test_a_table_that_takes_less_is_done_later_and_throttles(
    load: OfferedLoad, units_s: float, times: float
) -> None:
    tight = ran(replace(UNLIMITED, write_units_s=units_s), load)
    ample = ran(replace(UNLIMITED, write_units_s=units_s * times), load)

    # The last refused write may have drawn the longest pause.
    assert ample.drained_s <= tight.drained_s * 1.02 + MAX_PAUSE_S
    # A second's worth is saved up; the rest cannot be written faster than that.
    assert tight.drained_s >= (load.burst - units_s) / units_s - 0.01


def test_throttling_shows_in_the_iterator_age() -> None:
    load = OfferedLoad(burst=40_000)
    free, throttled = ran(STEADY, load), ran(replace(STEADY, write_units_s=500), load)

    assert throttled.write_throttles > free.write_throttles
    assert throttled.iterator_age_s > free.iterator_age_s + 10
