"""What a shard takes in a second, with the clock in hand."""

from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.emulator.shard_limits import BYTES_A_SECOND, RECORDS_A_SECOND, Shard, ShardLimits

HALF = 2**127


def limits(now: list[float], *shards: Shard) -> ShardLimits:
    return ShardLimits(shards or [Shard("a", 0), Shard("b", HALF)], clock=lambda: now[0])


def test_a_shard_takes_a_thousand_records_a_second_and_the_others_are_not_affected() -> None:
    now = [0.0]
    shards = limits(now)

    assert sum(shards.takes("a", 10) for _ in range(1500)) == RECORDS_A_SECOND
    assert shards.takes("b", 10)
    now[0] = 0.25
    assert sum(shards.takes("a", 10) for _ in range(1500)) == RECORDS_A_SECOND // 4


def test_a_shard_takes_a_megabyte_a_second() -> None:
    now = [0.0]
    shards = limits(now)

    assert sum(shards.takes("a", BYTES_A_SECOND // 8) for _ in range(20)) == 8
    now[0] = 0.5
    assert sum(shards.takes("a", BYTES_A_SECOND // 8) for _ in range(20)) == 4


def test_nothing_is_saved_up_beyond_one_second() -> None:
    now = [0.0]
    shards = limits(now)
    now[0] = 3600.0

    assert sum(shards.takes("a", 1) for _ in range(5000)) == RECORDS_A_SECOND


def test_a_record_of_more_than_a_megabyte_is_taken_and_paid_for_afterwards() -> None:
    now = [0.0]
    shards = limits(now)

    assert shards.takes("a", 3 * BYTES_A_SECOND)
    now[0] = 1.9
    assert not shards.takes("a", 1)
    now[0] = 2.1
    assert shards.takes("a", 1)


@given(st.text(min_size=1, max_size=256))
def test_a_key_belongs_to_the_shard_whose_range_holds_its_md5(key: str) -> None:
    number = int(md5(key.encode("utf-8", "surrogatepass")).hexdigest(), 16)

    assert limits([0.0]).shard_of(key) == ("a" if number < HALF else "b")


@pytest.mark.parametrize(("hash_key", "shard"), [("0", "a"), (str(HALF - 1), "a"), (str(HALF), "b")])
def test_an_explicit_hash_key_decides(hash_key: str, shard: str) -> None:
    assert limits([0.0]).shard_of("any", hash_key) == shard


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

    assert taken <= (now[0] + 1) * RECORDS_A_SECOND
    assert taken_bytes <= (now[0] + 1) * BYTES_A_SECOND + 1


def test_after_a_look_at_the_shards_nobody_has_more_left_than_before() -> None:
    now = [0.0]
    before = limits(now)
    assert sum(before.takes("a", 1) for _ in range(1000)) == 1000

    after = limits(now, Shard("a", 0), Shard("c", HALF)).carried_over(before)

    assert not after.takes("a", 1)
    assert after.takes("c", 1)
