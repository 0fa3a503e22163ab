"""What a whole history in memory says, for tests that have no table."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from chalicelib.domain import lifecycle
from chalicelib.domain.events import Event
from chalicelib.domain.voids import Voids, of_event


def in_table_order(history: Iterable[Event]) -> list[Event]:
    """Newest first."""
    return sorted(history, key=lambda event: event.position, reverse=True)


def microseconds(newest_first: Iterable[Event]) -> Iterator[list[Event]]:
    for _, together in groupby(newest_first, key=lambda event: event.position[:27]):
        yield list(together)


def voids_of(history: Iterable[Event], now: str) -> Voids:
    return Voids(now, [void for event in history if (void := of_event(event)) is not None])


def status(history: Sequence[Event], now: str) -> tuple[str, str | None] | None:
    found = lifecycle.determine_status(microseconds(in_table_order(history)), voids_of(history, now))
    return None if found is None else (found.status, found.since)


def reading(history: Sequence[Event], now: str) -> lifecycle.Reading:
    whole = in_table_order(history)
    return lifecycle.read(whole, whole, voids_of(history, now), from_first=True, to_last=True, is_whole=True)
