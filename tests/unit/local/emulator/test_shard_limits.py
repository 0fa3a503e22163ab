"""What a shard takes in a second, with the clock in hand."""

from hypothesis import given
from hypothesis import strategies as st

from local.emulator.shard_limits import BYTES_PER_SECOND, RECORDS_PER_SECOND, ShardLimits


def limits(now: list[float]) -> ShardLimits:
    return ShardLimits(clock=lambda: now[0])


def test_a_shard_takes_a_thousand_records_a_second_and_the_others_are_not_affected() -> None:
    now = [0.0]
    shards = limits(now)

    assert sum(shards.takes("a", 10) for _ in range(1500)) == RECORDS_PER_SECOND
    assert shards.takes("b", 10)
    now[0] = 0.25
    assert sum(shards.takes("a", 10) for _ in range(1500)) == RECORDS_PER_SECOND // 4


def test_a_shard_takes_a_megabyte_a_second() -> None:
    now = [0.0]
    shards = limits(now)

    assert sum(shards.takes("a", BYTES_PER_SECOND // 8) for _ in range(20)) == 8
    now[0] = 0.5
    assert sum(shards.takes("a", BYTES_PER_SECOND // 8) for _ in range(20)) == 4


def test_nothing_is_saved_up_beyond_one_second() -> None:
    now = [0.0]
    shards = limits(now)
    assert shards.takes("a", 1)
    now[0] = 3600.0

    assert sum(shards.takes("a", 1) for _ in range(5000)) == RECORDS_PER_SECOND


def test_a_record_of_more_than_a_megabyte_is_taken_and_paid_for_afterwards() -> None:
    now = [0.0]
    shards = limits(now)

    assert shards.takes("a", 3 * BYTES_PER_SECOND)
    now[0] = 1.9
    assert not shards.takes("a", 1)
    now[0] = 2.1
    assert shards.takes("a", 1)


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 400_000)), max_size=200))
def test_in_no_time_does_a_shard_take_more_than_its_rate_and_one_second_more(
    puts: list[tuple[float, int]],
) -> None:
    now = [0.0]
    shards = limits(now)
    taken = taken_bytes = 0
    for passed, size in puts:
        now[0] += passed
        if shards.takes("a", size):
            taken += 1
            taken_bytes += size

    assert taken <= (now[0] + 1) * RECORDS_PER_SECOND
    assert taken_bytes <= (now[0] + 1) * BYTES_PER_SECOND + 1
