"""EPCIS error declarations: an event that is declared erroneous becomes a `void` of it, and the reverse.

The void names the event by its id, because everything else may be written in another way the second time.
An event that comes without one has a digest of its content as its id (content_id.py); only one that went out
of here without an id is named by its position.  It keeps the declared event as the wire format
has it, and the declaration::

    {"event_id": "urn:uuid:…", "why": "did_not_occur",
     "epcis": {"errorDeclaration": {…}, "declared": {"type": "theft", "occurred_at": …}}}

It happens at the later of the declaration and the event: a void from before its event would look as if it
meant another one.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from chalicelib.domain import events, instants
from chalicelib.domain.voids import VOID
from chalicelib.epcis import vocabulary
from chalicelib.epcis.vocabulary import KEPT, PREFIX
from chalicelib.errors import InvalidEventError

#: Where a void that was not made of an EPCIS event travels, beside the event that it names.
CARRIED = PREFIX + "void"

_REASONS = vocabulary.words("did_not_occur incorrect_data")


def void(wire: dict[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the void of `wire`, the declared event, that the EPCIS `event` says.

    Raises ValueError with a sentence.
    """
    carried = event.get(CARRIED)
    if isinstance(carried, dict):
        return {**carried, "serial": wire["serial"], "type": VOID}
    declaration = event["errorDeclaration"]
    declared_at = declaration.get("declarationTime") if isinstance(declaration, dict) else None
    if not isinstance(declared_at, str):
        raise ValueError("errorDeclaration: has no declarationTime")
    try:
        named = _named(wire, declaration)
        later = max(wire["occurred_at"], declared_at, key=_instant)
    except (InvalidEventError, UnicodeEncodeError, RecursionError) as exc:
        raise ValueError(f"errorDeclaration: {exc}") from exc
    except ValueError as exc:
        raise ValueError(f"errorDeclaration: declarationTime: {exc}") from exc
    reason = declaration.get("reason")
    declared = {name: value for name, value in wire.items() if name != "serial"}
    made = {
        "serial": wire["serial"],
        "type": VOID,
        "occurred_at": later,
        "metadata": {
            **named,
            **({"why": vocabulary.short(reason)} if isinstance(reason, str) else {}),
            KEPT: {"errorDeclaration": declaration, "declared": declared},
        },
    }
    return made | ({"source": wire["source"]} if "source" in wire else {})


def declared(serial: str, kept: Mapping[str, Any]) -> tuple[events.Event, dict[str, Any]] | None:
    """Return the declared event and its declaration, given what a void keeps of EPCIS; None without them."""
    wire, declaration = kept.get("declared"), kept.get("errorDeclaration")
    if not isinstance(wire, dict) or not isinstance(declaration, dict) or "serial" in wire:
        return None
    try:
        return events.decode(msgspec.json.encode({**wire, "serial": serial})), declaration
    except InvalidEventError:
        return None


def declaration_of(declared_at: str, why: str | None) -> dict[str, str]:
    """Return the declaration that a void stands for which EPCIS did not make."""
    return {"declarationTime": declared_at, **({"reason": why} if why in _REASONS else {})}


def _named(wire: dict[str, Any], declaration: Mapping[str, Any]) -> dict[str, str]:
    """How the void names the declared event."""
    position = events.decode(msgspec.json.encode(wire)).position
    if wire["type"] == VOID:  # taken out by position only
        return {"position": position}
    event_id = _earlier_id(declaration) or wire.get("event_id")
    return {"position": position} if event_id is None else {"event_id": event_id}


def _earlier_id(declaration: Mapping[str, Any]) -> str | None:
    """The id that the declared event had, where hashing it again has given it a new one.

    EPCIS has no field for it: partners name it in an extension of the declaration, such as `acme:eventID`.
    """
    for name, value in declaration.items():
        if ":" in name and name.lower().endswith("eventid") and isinstance(value, str) and value:
            return value if len(value) <= 128 else None
    return None


def _instant(text: str) -> str:
    """An instant in a spelling that sorts: UTC, whose fraction has no trailing zeros."""
    return instants.parse(text).utc.removesuffix("Z")
