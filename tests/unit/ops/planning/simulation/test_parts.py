"""What a simulated run is made of: producer, queues, shards, table, figures, plot."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.planning.simulation import svg
from ops.planning.simulation.capacity_model import Chunk, ChunkQueue, Inlet, Table
from ops.planning.simulation.figures import Histogram, Timeline
from ops.planning.simulation.producer import BurstProducer
from ops.planning.simulation.scenario import divided


def test_a_producer_of_large_records_fills_requests_and_holds_records_by_their_bytes() -> None:
    producer = BurstProducer([1_000], 1024 * 1024, 1, random.Random(1))
    requests = [producer.request(0.0) for _ in range(5)]

    assert [portions and portions[0].records for portions in requests] == [10, 10, 10, 10, None]
    assert requests[0]
    assert producer.answer(requests[0][0], 10, 0.0) == 0
    producer.in_flight -= 1
    assert producer.request(0.0) is None, "40 MiB are under way or refused"


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 80)), max_size=20))
def test_a_queue_gives_back_what_it_was_given_in_order(steps: list[tuple[int, int]]) -> None:
    queue, at = ChunkQueue(), 0.0
    put = taken = 0
    latest = 0.0
    for records, wanted in steps:
        queue.put(Chunk(records, at, at + 1))
        at += 1
        put += records
        for chunk in queue.take(wanted):
            assert latest - 1e-9 <= chunk.first_at <= chunk.last_at
            latest = chunk.last_at
            taken += chunk.records
        assert queue.count == put - taken


@given(
    st.floats(0, 5_000),
    st.floats(0, 20),
    st.floats(10, 2_000),
    st.lists(st.floats(0.001, 5), min_size=1, max_size=30),
)
def test_a_shard_never_takes_in_more_than_its_limit_and_in_the_end_everything(
    flow_s: float, seconds: float, limit_s: float, pauses: list[float]
) -> None:
    total = round(flow_s * seconds)
    inlet = Inlet(flow_s, seconds, total, limit_s)
    now, came = 0.0, 0
    for pause in pauses:
        now += pause
        chunk = inlet.until(now)
        if chunk is not None:
            came += chunk.records
            assert chunk.first_at <= chunk.last_at <= now
        assert came <= limit_s * (now + 1) + 1
        assert came <= total
    chunk = inlet.until(now + seconds + total / limit_s + 10)
    assert came + (chunk.records if chunk else 0) == total
    assert inlet.is_drained


def test_a_shard_that_was_idle_takes_what_one_second_allows_and_no_more() -> None:
    inlet = Inlet(0.0, 0.0, 0, 100)

    assert inlet.offer(250, 60.0) == 100
    assert inlet.offer(250, 60.5) == 50


@given(st.integers(0, 10_000), st.lists(st.integers(0, 50), min_size=1).filter(any))
def test_parts_add_up_to_the_whole(total: int, weights: list[int]) -> None:
    parts = divided(total, weights)

    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1


def test_a_table_gives_so_many_units_a_second_and_what_it_saved() -> None:
    table = Table(100, saved_s=1)

    assert table.take(250, 1, 0.0) == 100
    assert table.take(250, 1, 0.5) == 50
    assert table.take(250, 1, 60.0) == 100, "no more than a second's worth is saved"


def test_a_table_takes_an_item_whole_or_not_at_all() -> None:
    table = Table(1, saved_s=300)

    assert table.take(3, 147, 0.0) == 2
    assert table.take(1, 147, 100.0) == 0, "6 units were left, and 100 have come since"
    assert table.take(1, 147, 141.0) == 1


def test_a_timeline_keeps_its_sums_when_it_runs_out_of_room() -> None:
    timeline = Timeline(size=8, width_s=1.0)
    for second in range(100):
        timeline.add(second, stored=1, age_s=second)

    moments = timeline.moments()
    assert len(moments) <= 8
    assert sum(moment.stored for moment in moments) == 100
    assert all(moment.iterator_age_s == min(99, moment.at - 1) for moment in moments)


def test_percentiles_are_within_a_tenth() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 1001):
        histogram.add(milliseconds / 1000, 1)

    assert histogram.percentile(50) == pytest.approx(0.5, rel=0.11)
    assert histogram.percentile(99) == pytest.approx(0.99, rel=0.11)
    assert Histogram().percentile(50) is None


@given(st.floats(0, 1e12))
def test_ticks_are_round_and_reach_the_largest_value(largest: float) -> None:
    marks = svg.ticks(largest)

    assert marks[0] == 0
    assert marks[-1] >= largest * (1 - 1e-9)
    assert 2 <= len(marks) <= 8
