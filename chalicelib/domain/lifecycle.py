"""Which event means what, and what a history says about its product.

One table of the known types, and the fold over a history.  Facts are never rejected for being odd, they
are shown as odd: an anomaly is something to look at, not an error.  Knows no AWS; what "now" is comes in
as an argument.

The fold walks newest to oldest and stops at its first answer.  For that to be exact a `void` counts only
when it is no earlier than the event it names: then every void has been seen before its event, and a void
that was itself taken out has been seen as such before it could take anything out.  An event dated in the
future is therefore taken out by a void dated no earlier than it; both come into force together.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

import msgspec

from chalicelib.domain import events

#: Before anything has happened to a product.
NOTHING = "nothing"

#: No event of the whole history gives a status.
UNKNOWN = "unknown"

#: The walk gave up before it found an event that gives a status.
UNDETERMINED = "undetermined"

VOID = "void"


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


class _Naming(msgspec.Struct, gc=False):
    """What a void's metadata says; `Raw`, because metadata may hold numbers that no float can."""

    position: msgspec.Raw = msgspec.Raw(b"null")


_names = msgspec.json.Decoder(_Naming).decode


class TimelineEvent(Protocol):
    """What the fold needs to know of an event."""

    @property
    def type(self) -> str:
        """The event's type, known or not."""

    @property
    def occurred_at(self) -> str:
        """When it happened, in local time, with every digit."""

    @property
    def position(self) -> str:
        """Its place in the product's history."""

    @property
    def metadata(self) -> str:
        """Canonical JSON text."""


class Status(msgspec.Struct, frozen=True, gc=False):
    """What a product is, and since when; `since` is None where no event says so."""

    status: str
    since: str | None


class Anomaly(msgspec.Struct, frozen=True, gc=False):
    """Something odd about one event, for a person to look at."""

    position: str
    type: str
    code: str  # future, unexpected_order, void_names_nothing, void_names_later, void_names_missing
    message: str


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a stretch of a history says."""

    anomalies: list[Anomaly]  # newest first
    voided_by: dict[str, str]  # position of an event taken out -> position of the void that did it


class _Voids:
    """The events taken out so far, on the way from newest to oldest."""

    def __init__(self, now: str) -> None:
        self._now = now
        self._seen: set[str] = set()
        self.by: dict[str, str] = {}
        self.without_effect: dict[str, Anomaly] = {}

    def apply(self, event: TimelineEvent) -> bool:
        """Whether the event is in the fold; a void that is in takes its event out."""
        self._seen.add(event.position)
        if is_future(event, self._now) or event.position in self.by:
            return False
        if event.type == VOID:
            self._take_out(event)
        return True

    def _take_out(self, void: TimelineEvent) -> None:
        named = voided_position(void)
        if named is None:
            self.without_effect[void.position] = _anomaly(
                void, "void_names_nothing", "void names no event: its metadata has no `position` that is one"
            )
        elif named in self._seen or events.prefix_of(named) > events.prefix_of(void.position):
            self.without_effect[void.position] = _anomaly(
                void, "void_names_later", "void is dated before the event it names, and has no effect"
            )
        else:
            self.by.setdefault(named, void.position)

    def drop_voids_of_missing_events(self, whole: Sequence[TimelineEvent]) -> None:
        """These are all events there are: a void that names another one has no effect."""
        held = {event.position for event in whole}
        missing = self.by.keys() - held
        for event in whole:
            if event.type == VOID and voided_position(event) in missing and event.position not in self.by:
                self.without_effect[event.position] = _anomaly(
                    event, "void_names_missing", "void names an event that this history does not hold"
                )
        self.by = {taken_out: void for taken_out, void in self.by.items() if taken_out in held}


def determine_status(newest_first: Iterable[TimelineEvent], now: str) -> Status:
    """The status of a product: what its newest status-giving event says.

    `newest_first` is in table order and may be read lazily; no more of it is taken than needed.  `now` is
    an instant as positions begin with it.  UNKNOWN when the events end without an answer.
    """
    voids = _Voids(now)
    for event in _folded(newest_first):
        if voids.apply(event):
            gives = KINDS.get(event.type, _ANYTIME).gives
            if gives is not None:
                return Status(gives, event.occurred_at)
    return Status(UNKNOWN, None)


def read(shown: Sequence[TimelineEvent], before: TimelineEvent | None, now: str) -> Reading:
    """Anomalies and voids of the newest events of a history.

    `shown` is newest first and begins with the history's newest event; `before` is the event just older
    than the last of them, None when the history begins there: only then is it known that a void names an
    event that is not there.
    """
    voids = _Voids(now)
    counted = {
        event.position: voids.apply(event) for event in _folded([*shown, *([before] if before else [])])
    }
    if before is None:
        voids.drop_voids_of_missing_events(shown)
    anomalies: list[Anomaly] = []
    status: str | None = NOTHING
    if before is not None:
        status = KINDS.get(before.type, _ANYTIME).gives if counted[before.position] else None
    for event in reversed(list(_folded(shown))):
        if is_future(event, now):
            anomalies.append(
                _anomaly(event, "future", f"{event.type} lies in the future; it decides nothing yet")
            )
            continue
        if not counted[event.position]:
            continue
        kind = KINDS.get(event.type, _ANYTIME)
        if event.position in voids.without_effect:
            anomalies.append(voids.without_effect[event.position])
        elif status is not None and kind.follows is not None and status not in kind.follows:
            anomalies.append(_anomaly(event, "unexpected_order", _unexpected(event.type, status)))
        status = kind.gives or status
    anomalies.reverse()
    return Reading(anomalies, voids.by)


def is_future(event: TimelineEvent, now: str) -> bool:
    """Whether the event says that it happens after `now`."""
    return events.prefix_of(event.position) > now


def voided_position(event: TimelineEvent) -> str | None:
    """The position that a void names in its metadata (`{"position": "…"}`); None when it names none."""
    named = bytes(_names(event.metadata).position)
    text = msgspec.json.decode(named) if named.startswith(b'"') else None
    return text if events.is_position(text) else None


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


def _folded(newest_first: Iterable[TimelineEvent]) -> Iterator[TimelineEvent]:
    """The events newest first, those of one microsecond put in the fold's order.

    Table order is exact but for one microsecond, where the digest comes first; so a microsecond's events
    are taken together, and nothing beyond them is read.
    """
    for _, together in groupby(newest_first, key=lambda event: events.prefix_of(event.position)):
        yield from sorted(together, key=order, reverse=True)


def _anomaly(event: TimelineEvent, code: str, message: str) -> Anomaly:
    return Anomaly(event.position, event.type, code, message)


def _unexpected(type_: str, status: str) -> str:
    if status == NOTHING:
        return f"{type_} before any event that gives a status"  # others may have come before it
    return f"{type_} while {status}"
