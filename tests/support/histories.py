"""Histories that are hard to read: few instants, few ids, voids that name each other, anything odd.

A history is drawn as plain numbers, by Hypothesis or by a seeded `random.Random`, and made of them here.
"""

import json
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from chalicelib.domain import events
from chalicelib.domain.events import Event

NOW = "2026-06-01T00:00:00.000000Z"

TYPES = (
    *("production", "serialization", "inventory", "dealer_registration", "service", "theft", "recovery"),
    *("refabrication", "retirement", "note", "repainting", "void", "void", "void", "void"),
)
#: A few instants, several within one microsecond, one in two spellings, two in the future.
INSTANTS = (
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.0000001Z",
    "2026-01-01T00:00:00.00000015Z",
    "2026-01-01T01:00:00.0000009+01:00",
    "2026-01-01T00:00:00.000001Z",
    "2026-01-01T00:00:00.000002Z",
    "2026-01-02T00:00:00Z",
    "2026-01-02T12:00:00+12:00",
    "2026-01-03T00:00:00Z",
    "2026-06-01T00:00:00.0000005Z",
    "2026-07-01T00:00:00Z",
    "2026-07-01T00:00:00.0000001Z",
)
IDS = (None, None, "a", "b", "2026-01-01T00:00:00.000000Z#" + "0" * 32)
REASONS = (None, "entered twice", "", 7, "é" * 300)
_MISSING = "2026-01-02T00:00:00.000000Z#" + "f" * 32


class Drawn(NamedTuple):
    """One event, as numbers."""

    type: int
    instant: int
    id: int
    names: int  # of a void: which of the events before it in the draw, or something else
    reason: int


#: The first number that does not fit, for each field of `Drawn`.
BOUNDS = (len(TYPES), len(INSTANTS), len(IDS), 1000, len(REASONS))


def drawn_by(random: Random, count: int) -> list[Drawn]:
    """A history of this many events."""
    return [Drawn(*(random.randrange(bound) for bound in BOUNDS)) for _ in range(count)]


def history_of(drawn: Sequence[Drawn], filler: str = "") -> list[Event]:
    """The events, in the order drawn; every void names what was drawn before it, whatever the dates."""
    made: list[Event] = []
    for number, each in enumerate(drawn):
        metadata: dict[str, object] = {"n": number}
        if filler:
            metadata["filler"] = filler
        if TYPES[each.type] == "void":
            metadata |= _naming(each, made)
        wire = {
            "serial": "SN-1",
            "type": TYPES[each.type],
            "occurred_at": INSTANTS[each.instant],
            "metadata": metadata,
            "event_id": IDS[each.id],
        }
        made.append(events.decode(json.dumps(wire).encode()))
    return made


def _naming(each: Drawn, made: Sequence[Event]) -> dict[str, object]:
    why: dict[str, object] = {}
    if (reason := REASONS[each.reason]) is not None:
        why = {"why" if each.names % 2 else "reason": reason}
    kind, which = each.names % 10, each.names // 10
    if kind < 6 and made:
        # Voids of voids above all, else they are rare.
        voids = [event for event in made if event.type == "void"]
        among = voids if kind < 3 and voids else made
        return {"position": among[which % len(among)].position, **why}
    if kind < 8:
        return {"event_id": IDS[2 + which % 3], "position": None, **why}
    return {"position": _MISSING, **why} if which % 2 else {"position": "yesterday", "event_id": "a", **why}
