"""When a shard is read: at its interval, at once while records come, later after a failure, when asked."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local.event_sources.read_schedule import ReadSchedule
from local.event_sources.shard_reader import ReadResult

RECORD: Any = {"SequenceNumber": "1"}
TIP = ReadResult((), is_tip=True, is_end=False)
RECORDS = ReadResult((RECORD,), is_tip=False, is_end=False)
BEHIND = ReadResult((), is_tip=False, is_end=False)
END = ReadResult((), is_tip=True, is_end=True)


def read(schedule: ReadSchedule, now: float, result: ReadResult) -> None:
    schedule.begin(now)
    schedule.succeeded(result)


def is_due(schedule: ReadSchedule, now: float) -> bool:
    return schedule.due_at is not None and now >= schedule.due_at


@given(st.floats(0.01, 60), st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_an_idle_shard_is_read_at_the_interval_from_where_the_read_began(
    interval_s: float, late: list[float]
) -> None:
    schedule = ReadSchedule(interval_s)
    now = 0.0

    for seconds in late:
        assert is_due(schedule, now)
        read(schedule, now, TIP)
        assert schedule.due_at == now + interval_s
        now = schedule.due_at + seconds


def test_a_shard_that_brought_something_is_read_again_at_once_until_it_is_at_its_tip() -> None:
    schedule = ReadSchedule(1.0)

    read(schedule, 0.0, RECORDS)
    assert is_due(schedule, 0.0)
    read(schedule, 0.1, BEHIND)
    assert is_due(schedule, 0.1)
    read(schedule, 0.2, TIP)

    assert schedule.due_at == 1.2


def test_failed_reads_are_spaced_out_until_one_is_answered() -> None:
    schedule = ReadSchedule(0.1)
    pauses = []

    for _ in range(8):
        schedule.begin(0.0)
        pauses.append(schedule.failed(0.0))
        assert schedule.due_at == pauses[-1]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]

    read(schedule, 10.0, TIP)
    schedule.begin(11.0)
    assert schedule.failed(11.0) == 0.2
    assert schedule.failures == 1


def test_a_read_that_was_under_way_when_asked_does_not_count() -> None:
    schedule = ReadSchedule(600.0)
    read(schedule, 0.0, TIP)
    assert not is_due(schedule, 1.0)

    schedule.begin(1.0)
    schedule.ask()
    schedule.succeeded(TIP)
    assert is_due(schedule, 1.0)

    read(schedule, 1.1, TIP)
    assert not is_due(schedule, 1.2)


def test_the_tip_is_known_only_from_a_read_that_began_then_or_later() -> None:
    schedule = ReadSchedule()
    assert schedule.saw_tip(0.0) is None

    read(schedule, 5.0, TIP)
    assert schedule.saw_tip(5.0) is True
    assert schedule.saw_tip(5.1) is None

    read(schedule, 6.0, RECORDS)
    assert schedule.saw_tip(5.1) is False
    schedule.begin(7.0)
    schedule.failed(7.5)
    assert schedule.saw_tip(6.5) is False


def test_behind_its_end_a_shard_is_not_read_any_more() -> None:
    ended, gone = ReadSchedule(), ReadSchedule()

    read(ended, 0.0, END)
    gone.begin(0.0)
    gone.end()

    for schedule in ended, gone:
        assert schedule.is_read_out
        schedule.ask()
        assert schedule.due_at is None
    assert ended.saw_tip(0.0) is False
