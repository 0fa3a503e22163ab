"""Events as the lines of a timeline, ready for a template.

One line per event with its essential words, its details behind it; lines under years; oddities in groups.
Everything of one line is bounded, so that a page of MAX_EVENTS lines stays within what Lambda can answer
(MAX_LINE_BYTES is held by a test): names and values of metadata by facts.py, times by words.py, everything
else by the wire format's own limits.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

from chalicelib.api import facts, queries, representations, words
from chalicelib.domain import lifecycle, voids
from chalicelib.domain.voids import VOID, Voiding
from chalicelib.tables.history import StoredEvent

#: Events on one page, and the bytes of a line of one in a Lambda response, where `"` counts two and a
#: character beyond ASCII six or twelve.
MAX_EVENTS, MAX_LINE_BYTES = 100, 55_000

#: Links from a void to what it takes out.
MAX_TAKEN_OUT = 3

#: The marks that a type has (templates/marks.svg); every other type has this one.
OTHER = "other"

_OTHER_RANK = len(lifecycle.KINDS)
_RANKS = {type_: rank for rank, type_ in enumerate(lifecycle.KINDS)}


class Link(msgspec.Struct, frozen=True, gc=False):
    """A reference with its words."""

    href: str
    text: str


class Line(msgspec.Struct, frozen=True):
    """One event."""

    anchor: str
    type: str
    mark: str
    title: str
    gist: str
    moment: words.Moment
    source: str | None
    event_id: str | None
    position: str
    recorded_at: str
    facts: facts.Facts
    json: str  # the address of this event as JSON
    gives: bool  # whether it decides the status, or did
    oddity: str | None  # what is odd about it
    voided_by: str | None  # where the void is that takes it out
    voided_why: str | None
    takes_out: list[Link]  # what this one, a void, takes out of this page
    names: Link | None  # what it names besides, on another page or without effect


class Year(msgspec.Struct, frozen=True):
    """The lines of one year, as local time has it."""

    year: str
    lines: list[Line]


class Kind(msgspec.Struct, frozen=True, gc=False):
    """A type of event that can be filtered by."""

    type: str
    mark: str
    title: str
    count: int


class Oddity(msgspec.Struct, frozen=True):
    """What is odd about some events, and where they are."""

    text: str
    events: list[Link]

    @property
    def count(self) -> int:
        """How many events it concerns."""
        return len(self.events)


class Timeline:
    """Makes the lines of one page.

    `address` leads to the product's events.  `voided` has the void of each event that is taken out, on this
    page or elsewhere.
    """

    def __init__(
        self,
        events: Sequence[StoredEvent],
        address: str,
        anomalies: Iterable[lifecycle.Anomaly] = (),
        voided: Mapping[str, Voiding] | None = None,
    ) -> None:
        self._address = address
        self._here = {event.position: event for event in events}
        self._oddities = {anomaly.position: words.oddity(anomaly) for anomaly in anomalies}
        self._voided = voided or {}
        self._taken_out: defaultdict[str, list[str]] = defaultdict(list)
        for taken, voiding in self._voided.items():
            self._taken_out[voiding.by].append(taken)
        self.lines = [self._line(event) for event in events]

    def years(self) -> list[Year]:
        """The lines under their years; their order stays."""
        return [Year(year, list(lines)) for year, lines in groupby(self.lines, lambda line: line.moment.year)]

    def kinds(self) -> list[Kind]:
        """The types on this page: known ones in the order of a life, then the others."""
        counts = Counter(line.type for line in self.lines)
        return [
            Kind(type_, _mark(type_), words.name(type_), counts[type_])
            for type_ in sorted(counts, key=lambda type_: (_RANKS.get(type_, _OTHER_RANK), type_))
        ]

    def oddities(self) -> list[Oddity]:
        """What is odd, the most frequent first."""
        groups: dict[str, list[Link]] = {}
        for line in self.lines:
            if line.oddity is not None:
                groups.setdefault(line.oddity, []).append(Link(f"#{line.anchor}", line.moment.date))
        return sorted((Oddity(text, events) for text, events in groups.items()), key=lambda each: -each.count)

    def _line(self, event: StoredEvent) -> Line:
        kind = lifecycle.KINDS.get(event.type)
        members = facts.members(event.metadata)
        voiding = self._voided.get(event.position)
        return Line(
            anchor=_anchor(event.position),
            type=event.type,
            mark=_mark(event.type),
            title=words.name(event.type),
            gist=facts.gist(members, event.type == VOID),
            moment=words.moment(event.occurred_at),
            source=event.source,
            event_id=event.event_id,
            position=event.position,
            recorded_at=representations.recorded_at(event),
            facts=facts.facts(members),
            json=f"{self._address}{queries.only(event.serial, event.position)}&format=json",
            gives=kind is not None and kind.gives is not None and voiding is None,
            oddity=self._oddities.get(event.position),
            voided_by=self._reference(event.serial, voiding.by) if voiding is not None else None,
            voided_why=voiding.why if voiding is not None else None,
            takes_out=[
                Link(self._reference(event.serial, taken), self._named(taken))
                for taken in self._taken_out.get(event.position, ())[:MAX_TAKEN_OUT]
            ],
            names=self._named_besides(event),
        )

    def _named_besides(self, event: StoredEvent) -> Link | None:
        """The event that a void names by its position and does not take out of this page."""
        void = voids.of_event(event)
        if void is None or not void.names.startswith(voids.POSITION):
            return None
        position = void.names.removeprefix(voids.POSITION)
        if position in self._taken_out.get(event.position, ()):
            return None
        return Link(self._reference(event.serial, position), self._named(position))

    def _reference(self, serial: str, position: str) -> str:
        """Where an event is: on this page, or on a page of its own."""
        here = "" if position in self._here else self._address + queries.only(serial, position)
        return f"{here}#{_anchor(position)}"

    def _named(self, position: str) -> str:
        event = self._here.get(position)
        if event is None:
            return f"an event of {words.date(position[:10])}"
        return f"{words.name(event.type)}, {words.moment(event.occurred_at).date}"


def _mark(type_: str) -> str:
    return type_ if type_ in lifecycle.KINDS else OTHER


def _anchor(position: str) -> str:
    return f"e-{position[28:44]}"
