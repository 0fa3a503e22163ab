"""Arrival: duplicates, poison pills and order, the same each time."""

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import events
from chalicelib.errors import InvalidEventError
from producer.entry import Entry
from producer.lives import lives
from producer.mix import DUPLICATE_WITHIN, arrivals
from producer.poison import ITEM_LIMIT_BYTES, KINDS

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
EVENTS = list(lives(600, 60, 1, NOW))


def of_kind(entries: list[Entry], kind: str) -> list[Entry]:
    return [entry for entry in entries if entry.kind == kind]


@given(st.integers(0, 600), st.floats(0, 1), st.integers(0, 12), st.booleans(), st.integers(0, 2**32))
def test_every_event_arrives_once_as_an_event_whatever_else_arrives(
    count: int, duplicates: float, poison: int, shuffle: bool, seed: int
) -> None:
    entries = list(arrivals(EVENTS[:count], duplicates, poison, shuffle, seed))

    assert Counter(entry.data for entry in of_kind(entries, "event")) == Counter(EVENTS[:count])
    assert len(of_kind(entries, "poison")) == poison
    for entry in entries:
        assert entry.kind == "poison" or events.decode(entry.data).serial == entry.partition_key


def test_a_duplicate_comes_after_its_event_and_says_the_same() -> None:
    entries = list(arrivals(EVENTS, 0.3, 0, False, 1))

    seen: dict[tuple[str, str], int] = {}
    spellings = 0
    for number, entry in enumerate(entries):
        event = events.decode(entry.data)
        key = (event.serial, event.position)
        if entry.kind == "event":
            seen[key] = number
        else:
            assert seen[key] < number <= seen[key] + 2 * DUPLICATE_WITHIN
            spellings += entry.data != entries[seen[key]].data
    duplicates = len(of_kind(entries, "duplicate"))
    assert 120 < duplicates < 240
    assert 0 < spellings < duplicates


def test_without_shuffling_a_products_events_arrive_in_order() -> None:
    entries = of_kind(list(arrivals(EVENTS, 0.5, 5, False, 1)), "event")

    assert [entry.data for entry in entries] == EVENTS


def test_the_same_seed_gives_the_same_arrival_and_another_another() -> None:
    once = list(arrivals(EVENTS, 0.1, 5, True, 7))

    assert once == list(arrivals(EVENTS, 0.1, 5, True, 7))
    assert once != list(arrivals(EVENTS, 0.1, 5, True, 8))


def test_without_shuffling_nothing_is_read_before_it_is_needed() -> None:
    read: list[bytes] = []

    def source() -> Iterator[bytes]:
        for event in EVENTS:
            read.append(event)
            yield event

    entries = arrivals(source(), 0.1, 5, False, 1)
    for _ in range(20):
        next(entries)

    assert len(read) <= 20


def test_shuffling_moves_events_far() -> None:
    entries = of_kind(list(arrivals(EVENTS, 0, 0, True, 1)), "event")

    moved = [abs(number - EVENTS.index(entry.data)) for number, entry in enumerate(entries)]
    assert sum(moved) / len(moved) > len(EVENTS) / 5


def test_poison_takes_turns_and_each_kind_is_what_its_name_says() -> None:
    pills = [entry.data for entry in of_kind(list(arrivals(EVENTS, 0, 10, False, 1)), "poison")]

    assert len(set(pills)) == 10
    for turn, data in enumerate(pills):
        kind = KINDS[turn % len(KINDS)]
        if kind == "oversized_item":
            # Valid as an event: only DynamoDB can tell.
            assert len(events.decode(data).metadata) > ITEM_LIMIT_BYTES
            assert len(data) < 1024 * 1024
            continue
        with pytest.raises(InvalidEventError) as refused:
            events.decode(data)
        reason, words = {
            "not_json": ("not_json", "not JSON at line 1"),
            "wrong_schema": ("invalid_event", "`occurred_at`: expected a string, got a number"),
            "unknown_field": ("invalid_event", "no such field"),
            "truncated_utf8": ("not_utf8", "unexpected end of data"),
        }[kind]
        assert refused.value.reason == reason
        assert words in str(refused.value)


def test_poison_sits_among_a_products_events() -> None:
    entries = list(arrivals(EVENTS, 0, 2, False, 1))

    for before, entry in itertools.pairwise(entries):
        if entry.kind == "poison":
            assert entry.partition_key == before.partition_key


@pytest.mark.parametrize(("duplicates", "poison"), [(-0.1, 0), (1.1, 0), (0.0, -1)])
def test_impossible_mixes_are_refused(duplicates: float, poison: int) -> None:
    with pytest.raises(ValueError, match="expected duplicates from 0 to 1 and poison >= 0"):
        arrivals(EVENTS, duplicates, poison, False, 1)
