"""Which event means what, and what a history says about its product.

One table of the known types, and the fold over a history.  Facts are never rejected for being odd, they
are shown as odd: an anomaly is something to look at, not an error.  Knows no AWS; what "now" is comes in
with the voids.

The fold goes by microseconds: table order is exact but for one microsecond, where the digest comes first.
So the events of a microsecond are judged together, and only once all of them are read.  Which of them are
taken out is known beforehand (voids.py).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

import msgspec

from chalicelib.domain import events
from chalicelib.domain.voids import EVENT_ID, POSITION, VOID, HistoricEvent, Voiding, Voids, of_event
from chalicelib.text import quoted

#: Before anything has happened to a product.
NOTHING = "nothing"

#: No event of the whole history gives a status.
UNKNOWN = "unknown"

#: The walk gave up before it found an event that gives a status.
UNDETERMINED = "undetermined"


class Kind(msgspec.Struct, frozen=True, gc=False):
    """What a type of event means: the status it gives, if any, and the statuses it may follow.

    `follows` None means: it may happen at any time.
    """

    gives: str | None
    follows: frozenset[str] | None


def _after(*statuses: str) -> frozenset[str]:
    return frozenset(statuses)


#: The known types, in the order in which they happen when several carry the same instant.
KINDS: dict[str, Kind] = {
    "production": Kind("produced", _after(NOTHING)),
    "serialization": Kind("serialized", _after("produced", "refabricated")),
    "inventory": Kind(
        "in_inventory", _after("produced", "serialized", "registered", "recovered", "refabricated")
    ),
    "dealer_registration": Kind(
        "registered", _after("in_inventory", "registered", "recovered", "refabricated")
    ),
    "service": Kind(None, _after("in_inventory", "registered", "recovered", "refabricated")),
    "warranty": Kind(None, _after("registered", "recovered", "refabricated")),
    "note": Kind(None, None),
    "theft": Kind(
        "stolen", _after("produced", "serialized", "in_inventory", "registered", "recovered", "refabricated")
    ),
    "recovery": Kind("recovered", _after("stolen")),
    "refabrication": Kind("refabricated", _after("in_inventory", "registered", "recovered", "retired")),
    "retirement": Kind(
        "retired",
        _after("produced", "serialized", "in_inventory", "registered", "stolen", "recovered", "refabricated"),
    ),
    VOID: Kind(None, None),
}

_RANK = {type_: rank for rank, type_ in enumerate(KINDS)}
_RANK_OF_OTHERS = _RANK["note"]
_ANYTIME = Kind(None, None)
_FRACTION = re.compile(r"\.([0-9]+)")


class TimelineEvent(HistoricEvent, Protocol):
    """What the fold needs to know of an event."""

    @property
    def occurred_at(self) -> str:
        """When it happened, in local time, with every digit."""


class Status(msgspec.Struct, frozen=True, gc=False):
    """What a product is, and since when; `since` is None where no event says so."""

    status: str
    since: str | None


class Anomaly(msgspec.Struct, frozen=True, gc=False):
    """Something odd about one event, for a person to look at."""

    position: str
    type: str
    code: str  # future, unexpected_order, void_names_nothing, void_names_missing
    message: str


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What is known of the events that an answer shows."""

    voided: dict[str, Voiding]  # by the position of the event that is taken out
    voids_are_known: bool = True  # False: any event may be taken out
    anomalies: list[Anomaly] = []  # newest first
    undetermined: frozenset[str] = frozenset()  # positions of events that may be anomalies of order
    known_after: str | None = None  # the newest of these; of all events after it the anomalies are known


def determine_status(microseconds: Iterable[Sequence[TimelineEvent]], voids: Voids) -> Status | None:
    """Return what the newest status-giving event says; None when no event gives a status.

    `microseconds` holds all events of one microsecond in each element, newest first.  It may be read lazily:
    no more of it is taken than needed.
    """
    for together in microseconds:
        for event in reversed(_in_order(together)):
            gives = _kind(event).gives
            if gives is not None and _counts(event, voids):
                return Status(gives, event.occurred_at)
    return None


def voided(shown: Iterable[TimelineEvent], voids: Voids) -> Reading:
    """Return which of these events are taken out, without anomalies."""
    if not voids.are_all:
        return Reading({}, voids_are_known=False)
    found = ((event.position, voids.voiding(event)) for event in shown)
    return Reading({position: voiding for position, voiding in found if voiding is not None})


def read(
    shown: Sequence[TimelineEvent],
    around: Iterable[TimelineEvent],
    voids: Voids,
    *,
    from_first: bool,
    to_last: bool,
    is_whole: bool,
) -> Reading:
    """Return which of the events shown are taken out, and what is odd about them.

    `shown` and `around` are in table order, newest first.  `around` is a stretch of the history without gaps
    that holds `shown`.  `from_first` says that the history begins with the oldest event of it, `to_last` that
    no newer event has the microsecond of its newest one.  `is_whole` says that the history holds no event
    but those shown: only then is it known that a void names an event that is not there.
    """
    reading = voided(shown, voids)
    undetermined = []
    anomalies = []
    judged = _judged(around, voids, from_first, to_last) if voids.are_all else {}
    held = _names_of(shown) if is_whole else None
    for event in _newest_first(shown):
        if not voids.are_all:
            undetermined.append(event.position)
        elif event.position in reading.voided:
            continue
        elif (anomaly := _odd_by_itself(event, voids.now, held) or judged.get(event.position)) is not None:
            anomalies.append(anomaly)
        elif _kind(event).follows is not None and event.position not in judged:
            undetermined.append(event.position)
    return msgspec.structs.replace(
        reading,
        anomalies=anomalies,
        undetermined=frozenset(undetermined),
        known_after=undetermined[0] if undetermined else None,
    )


def is_future(event: HistoricEvent, now: str) -> bool:
    """Whether the event says that it happens after `now`, an instant as positions begin with it."""
    return events.prefix_of(event.position) > now


Order = tuple[str, str, int, str]


def order(event: TimelineEvent) -> Order:
    """What a history is folded by: the exact instant, then the lifecycle's own order, then the digest."""
    fraction = _FRACTION.search(event.occurred_at)
    digits = fraction.group(1)[6:] if fraction else ""
    return (
        events.prefix_of(event.position),
        digits,
        _RANK.get(event.type, _RANK_OF_OTHERS),
        event.position,
    )


def _judged(
    around: Iterable[TimelineEvent], voids: Voids, from_first: bool, to_last: bool
) -> dict[str, Anomaly | None]:
    """What is unexpected about the order of events, by position; those it cannot be known of are left out."""
    microseconds = _by_microsecond(around)
    complete = microseconds[0 if to_last else 1 : None if from_first else -1]
    judged: dict[str, Anomaly | None] = {}
    status = NOTHING if from_first else None
    for together in reversed(complete):
        for event in _in_order(together):
            if not _counts(event, voids):
                continue
            kind = _kind(event)
            if status is not None:
                is_expected = kind.follows is None or status in kind.follows
                judged[event.position] = None if is_expected else _unexpected(event, status)
            status = kind.gives or status
    return judged


def _odd_by_itself(event: TimelineEvent, now: str, held: set[str] | None) -> Anomaly | None:
    """What is odd about an event whatever its neighbours are; `held` is what the whole history can name."""
    if is_future(event, now):
        return _anomaly(event, "future", f"{event.type} lies in the future; it decides nothing yet")
    if event.type != VOID:
        return None
    void = of_event(event)
    if void is None:
        message = "void names no event: its metadata has no `position` and no `event_id` that is one"
        return _anomaly(event, "void_names_nothing", message)
    if held is not None and void.names not in held:
        message = f"void names an event that this history does not hold: {quoted(void.names)}"
        return _anomaly(event, "void_names_missing", message)
    return None


def _counts(event: TimelineEvent, voids: Voids) -> bool:
    return not is_future(event, voids.now) and voids.voiding(event) is None


def _kind(event: TimelineEvent) -> Kind:
    return KINDS.get(event.type, _ANYTIME)


def _newest_first(stretch: Iterable[TimelineEvent]) -> Iterator[TimelineEvent]:
    for together in _by_microsecond(stretch):
        yield from reversed(_in_order(together))


def _by_microsecond(stretch: Iterable[TimelineEvent]) -> list[list[TimelineEvent]]:
    groups = groupby(stretch, key=lambda event: events.prefix_of(event.position))
    return [list(together) for _, together in groups]


def _in_order(together: Sequence[TimelineEvent]) -> Sequence[TimelineEvent]:
    """The events of one microsecond, oldest first."""
    return sorted(together, key=order) if len(together) > 1 else together


def _names_of(whole: Iterable[HistoricEvent]) -> set[str]:
    """What voids may call the events of a whole history."""
    held = set()
    for event in whole:
        held.add(POSITION + event.position)
        if event.event_id is not None and event.type != VOID:
            held.add(EVENT_ID + event.event_id)
    return held


def _anomaly(event: TimelineEvent, code: str, message: str) -> Anomaly:
    return Anomaly(event.position, event.type, code, message)


def _unexpected(event: TimelineEvent, status: str) -> Anomaly:
    if status == NOTHING:  # others may have come before it
        message = f"{event.type} before any event that gives a status"
    else:
        message = f"{event.type} while {status}"
    return _anomaly(event, "unexpected_order", message)
