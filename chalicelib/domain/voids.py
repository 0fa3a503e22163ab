"""Which of a product's events are taken out, by which `void`, and why.

A `void` says in its metadata what it takes out: `position` names one event, or, where there is none,
`event_id` names every event of that product with that id that is no void itself.  A void is therefore taken
out only by position, and a position contains its event's digest: no two voids can name each other, however
many are in between.  So who names comes before who is named, whatever the dates, and a void is in force
unless its time has not come or a void in force takes it out.

All of a product's voids have to be known for that, wherever in its history they stand; the table keeps a
marker of each for it (tables/markers.py).  Knows no AWS.
"""

from collections import deque
from collections.abc import Iterable
from typing import Protocol

import msgspec

from chalicelib.domain import events

#: The type of event that takes others out.
VOID = "void"

#: What `Void.names` begins with.  Both are part of every marker ever written.
POSITION, EVENT_ID = "position:", "event_id:"

#: Characters of a reason that are kept.
MAX_WHY = 200

_MAX_EVENT_ID = 128


class HistoricEvent(Protocol):
    """What has to be known of an event."""

    @property
    def type(self) -> str:
        """The event's type, known or not."""

    @property
    def position(self) -> str:
        """Its place in the product's history."""

    @property
    def event_id(self) -> str | None:
        """The id its producer gave it."""

    @property
    def metadata(self) -> str:
        """Canonical JSON text."""


class Void(msgspec.Struct, frozen=True, gc=False):
    """A void that names something."""

    position: str  # its own
    names: str  # what it takes out: `position:` and a position, or `event_id:` and an event id
    why: str | None = None


class Voiding(msgspec.Struct, frozen=True, gc=False):
    """That an event is taken out: the position of the void that does it, and its reason."""

    by: str
    why: str | None


class Voids:
    """A product's voids, and which of them are in force at one instant."""

    def __init__(self, now: str, known: Iterable[Void] = (), *, are_all: bool = True) -> None:
        """`now` is an instant as positions begin with it; `are_all` is False where more could not be read."""
        self.now = now
        self.are_all = are_all
        self._known = {void.position: void for void in known}
        self._in_force = _in_force(self._known, now)

    def add(self, read: Iterable[HistoricEvent]) -> None:
        """Add voids among events: those whose marker is not there yet count as far as they are read."""
        new = {
            event.position: void
            for event in read
            if event.type == VOID and event.position not in self._known and (void := of_event(event))
        }
        if new:
            self._known |= new
            self._in_force = _in_force(self._known, self.now)

    def voiding(self, event: HistoricEvent) -> Voiding | None:
        """The void in force that takes an event out, of several the one with the last position."""
        if not self._in_force:
            return None
        void = self._in_force.get(POSITION + event.position)
        if event.event_id is not None and event.type != VOID:
            by_id = self._in_force.get(EVENT_ID + event.event_id)
            if void is None or (by_id is not None and void.position < by_id.position):
                void = by_id
        return Voiding(void.position, void.why) if void is not None else None


def of_event(event: HistoricEvent) -> Void | None:
    """What an event says as a void; None when it is none, or names nothing."""
    return of_metadata(event.position, event.metadata) if event.type == VOID else None


def of_metadata(position: str, metadata: str) -> Void | None:
    """The void at `position` with this metadata; None when it names nothing.

    Decides what is in its marker, so for given metadata it always has to give the same.
    """
    said = _said(metadata)
    if not _is_null(said.position):
        named = _text(said.position)
        names = POSITION + named if named is not None and events.is_position(named) else None
    else:
        named = _text(said.event_id)
        names = EVENT_ID + named if named is not None and 1 <= len(named) <= _MAX_EVENT_ID else None
    if names is None:
        return None
    why = _text(said.why) or _text(said.reason)
    return Void(position, names, why[:MAX_WHY] if why else None)


def _in_force(known: dict[str, Void], now: str) -> dict[str, Void]:
    """The voids in force by what they name, of several the one with the last position.

    Each is judged once all that name it are; none is judged twice, and nothing recurs, so that a long chain
    of voids costs no more than a wide one.
    """
    unjudged = dict.fromkeys(known, 0)  # how many of those that name it have still to be judged
    named = {
        void.position: void.names.removeprefix(POSITION)
        for void in known.values()
        if void.names.startswith(POSITION)
    }
    for position in named.values():
        if position in unjudged:
            unjudged[position] += 1
    ready = deque(position for position, left in unjudged.items() if not left)
    in_force: dict[str, Void] = {}
    while ready:
        position = ready.popleft()
        void = known[position]
        if events.prefix_of(position) <= now and POSITION + position not in in_force:
            rival = in_force.get(void.names)
            if rival is None or rival.position < position:
                in_force[void.names] = void
        following = named.get(position)
        if following in unjudged:
            unjudged[following] -= 1
            if not unjudged[following]:
                ready.append(following)
    return in_force


class _Said(msgspec.Struct, gc=False):
    """What a void's metadata says; `Raw`, because metadata may hold numbers that no float can."""

    position: msgspec.Raw = msgspec.Raw(b"null")
    event_id: msgspec.Raw = msgspec.Raw(b"null")
    why: msgspec.Raw = msgspec.Raw(b"null")
    reason: msgspec.Raw = msgspec.Raw(b"null")


_said = msgspec.json.Decoder(_Said).decode


def _is_null(raw: msgspec.Raw) -> bool:
    return bytes(raw) == b"null"


def _text(raw: msgspec.Raw) -> str | None:
    """A JSON string's text; None for every other value."""
    held = bytes(raw)
    return msgspec.json.decode(held, type=str) if held.startswith(b'"') else None
