"""Markers: a product's voids once more, behind its events, so that one Query finds them all.

    position    ~void#<position of the void>; `~` sorts behind every instant
    names       what the void takes out: `position:<position>` or `event_id:<event id>`
    why         its reason, where it has one

A marker follows from its void and has no `recorded_at`: the same voids give the same markers.  It is written
after its void.  Other items may stand behind the events one day; who reads markers passes over them.
"""

import msgspec

from chalicelib.domain import voids
from chalicelib.domain.voids import VOID, Void
from chalicelib.tables.items import Item, Text

#: Where events end and what is behind them does, as bounds of a Query.
BEHIND, BEHIND_ALL = "~", "~~"

_PREFIX = "~void#"


class Marker(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The item that marks a void, in DynamoDB's JSON."""

    serial: Text
    position: Text
    names: Text
    why: Text | None = None


def marker_of(stored: Item | Marker) -> Marker | None:
    """The marker to write once this item is stored; None for all but a void that names something."""
    if isinstance(stored, Marker) or stored.type.S != VOID:
        return None
    void = voids.of_metadata(stored.position.S, stored.metadata.S)
    if void is None:
        return None
    return Marker(
        serial=stored.serial,
        position=Text(_PREFIX + void.position),
        names=Text(void.names),
        why=None if void.why is None else Text(void.why),
    )


def marked_void(position: str, names: Text | None, why: Text | None) -> Void | None:
    """The void that the item at this position marks; None when it is no marker."""
    if names is None or not position.startswith(_PREFIX):
        return None
    return Void(position.removeprefix(_PREFIX), names.S, None if why is None else why.S)


def is_behind(position: str) -> bool:
    """Whether an item stands behind the events, and is none itself."""
    return position >= BEHIND
