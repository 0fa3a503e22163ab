"""Deadlines: how long and how often an invocation tries."""

from chalicelib.deadline import MAX_PAUSE_S, RESERVE_S, Deadline


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def attempts(seconds: float, each_takes: float = 0.0) -> tuple[int, float]:
    """How many attempts a deadline allows, and when the last pause ended."""
    clock = Clock()
    deadline = Deadline(seconds, clock=clock.time, sleep=clock.sleep, uniform=lambda _, most: most)
    count = 0
    for _ in deadline.attempts():
        count += 1
        clock.now += each_takes
    return count, clock.now - 100


def test_attempts_end_early_enough_for_one_that_has_begun_to_finish() -> None:
    count, ended = attempts(60, each_takes=RESERVE_S)

    assert count > 1
    assert ended <= 60


def test_pauses_grow_to_a_limit_so_that_an_outage_costs_requests_by_time() -> None:
    count, ended = attempts(600)

    assert ended > 590
    assert count <= 600 / MAX_PAUSE_S + 10


def test_a_short_timeout_still_allows_an_attempt() -> None:
    assert attempts(1)[0] >= 1


def test_no_time_means_no_attempt() -> None:
    assert attempts(0)[0] == 0
