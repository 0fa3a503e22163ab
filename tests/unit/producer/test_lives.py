"""Generated lives: coherent, repeatable, exactly as many events as asked for."""

import itertools
import re
import uuid
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain import events, instants, lifecycle
from chalicelib.domain.events import Event
from producer import lives as module
from producer.lives import lives
from producer.spelling import SERIALS, spelled_serial, spelled_time, spelled_uuid7
from tests.support import whole_history

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
NOW_PREFIX = instants.parse(NOW.isoformat()).prefix


def histories(data: list[bytes]) -> dict[str, list[Event]]:
    """The events by product, in the order in which they were generated."""
    by_serial: dict[str, list[Event]] = defaultdict(list)
    for each in data:
        event = events.decode(each)
        by_serial[event.serial].append(event)
    return by_serial


# Few seeds, because each draws its own world from faker; another time gives other lives too.
SEEDS = st.integers(0, 3)
TIMES = st.integers(0, 10**9).map(lambda seconds: NOW - timedelta(seconds=seconds))


@given(st.integers(0, 400), st.integers(1, 60), SEEDS, TIMES)
@example(300, 1, 0, NOW)  # a long life
@example(5, 60, 0, NOW)  # more products than events
def test_there_are_as_many_events_and_products_as_asked_for(
    count: int, products: int, seed: int, now: datetime
) -> None:
    generated = list(lives(count, products, seed, now))

    assert len(generated) == count
    assert len(histories(generated)) == min(count, products)


@given(st.integers(1, 400), st.integers(1, 60), SEEDS, TIMES)
def test_every_life_is_in_order_and_without_an_anomaly(
    count: int, products: int, seed: int, now: datetime
) -> None:
    present = instants.parse(now.isoformat()).prefix
    for history in histories(list(lives(count, products, seed, now))).values():
        positions = [event.position for event in history]
        assert positions == sorted(set(positions))
        assert positions[-1] < present
        assert whole_history.reading(history, present).anomalies == []


def test_a_life_without_room_between_its_events_still_has_them_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 3,000 events within 3,000 microseconds: each has its own, and nobody's clock is finer than that.
    monkeypatch.setattr(module, "SHORTEST_LIFE", 3000 / 86_400e6)
    monkeypatch.setattr(module, "LONGEST_LIFE", 0)

    (history,) = histories(list(lives(3000, 1, 1, NOW))).values()

    positions = [event.position for event in history]
    assert positions == sorted(set(positions))
    assert positions[-1] < NOW_PREFIX


def test_every_type_and_every_ending_occurs() -> None:
    by_serial = histories(list(lives(20_000, 2_000, 3, NOW)))

    types = Counter(event.type for history in by_serial.values() for event in history)
    endings = {whole_history.status(history, NOW_PREFIX) for history in by_serial.values()}

    assert set(types) == set(lifecycle.KINDS)
    assert {"registered", "stolen", "recovered", "refabricated", "retired"} <= {
        ending[0] for ending in endings if ending is not None
    }


def test_a_void_takes_out_the_event_before_it() -> None:
    voids = 0
    for history in histories(list(lives(5_000, 100, 4, NOW))).values():
        voided = whole_history.reading(history, NOW_PREFIX).voided
        for before, event in itertools.pairwise(history):
            if event.type == "void":
                assert voided[before.position].by == event.position
                voids += 1

    assert voids > 10


def test_the_same_seed_and_time_give_the_same_bytes() -> None:
    assert list(lives(500, 50, 42, NOW)) == list(lives(500, 50, 42, NOW))
    assert list(lives(500, 50, 42, NOW)) == list(
        lives(500, 50, 42, NOW.astimezone(timezone(timedelta(hours=9))))
    )


def test_another_seed_or_another_time_gives_other_products() -> None:
    serials = set(histories(list(lives(500, 50, 42, NOW))))

    assert not serials & set(histories(list(lives(500, 50, 43, NOW))))
    assert not serials & set(histories(list(lives(500, 50, 42, NOW + timedelta(seconds=1)))))


def test_events_look_like_those_of_many_reporters() -> None:
    generated = [events.decode(each) for each in lives(5_000, 500, 5, NOW)]

    offsets = {event.occurred_at[-6:] for event in generated if not event.occurred_at.endswith("Z")}
    fractions = {len(event.occurred_at.partition(".")[2].rstrip("Z").split("+")[0]) for event in generated}
    assert {"+05:45", "+09:00", "-05:00"} <= offsets
    assert {0, 3, 6, 9} <= fractions
    assert any(event.event_id is None for event in generated)
    assert any(not event.metadata.isascii() for event in generated)
    # Cents as they were written: a float would have dropped the last zero.
    assert any(re.search(r'"price":[0-9]+\.[0-9]0,', event.metadata) for event in generated)


def test_products_take_turns() -> None:
    generated = [events.decode(each).serial for each in lives(1_000, 100, 6, NOW)]

    assert len(set(generated[:100])) > 40


@given(st.integers(0, 4_000_000_000_000_000), st.integers(0, 999), st.integers(0, 9), st.integers(-840, 840))
def test_a_spelled_time_is_the_instant_it_was_made_from(
    epoch_us: int, nanosecond: int, digits: int, offset_minutes: int
) -> None:
    read = instants.parse(spelled_time(epoch_us, nanosecond, digits, offset_minutes))

    kept_us = epoch_us - epoch_us % 10 ** max(0, 6 - digits)
    expected = datetime(1970, 1, 1) + timedelta(microseconds=kept_us)
    assert read.prefix == f"{expected.isoformat(timespec='microseconds')}Z"
    assert read.offset_minutes == offset_minutes


def test_serial_numbers_are_valid_and_all_different() -> None:
    numbers = [0, 1, 31, 32, 12345, SERIALS - 1]
    spelled = [spelled_serial(number) for number in numbers]

    assert spelled[0] == "SN-00000000"
    assert spelled[-1] == "SN-ZZZZZZZZ"
    assert len(set(spelled)) == len(numbers)
    assert all(events.is_serial(each) for each in spelled)


def test_an_event_id_is_a_uuid_of_version_7_that_begins_with_its_time() -> None:
    spelled = spelled_uuid7(1_700_000_000_123, 2**74 - 1)

    assert uuid.UUID(spelled).version == 7
    assert uuid.UUID(spelled).variant == uuid.RFC_4122
    assert int(spelled.replace("-", "")[:12], 16) == 1_700_000_000_123
