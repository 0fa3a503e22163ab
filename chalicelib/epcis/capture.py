"""EPCIS events in, lifecycle events out: one for each instance-level EPC that an event names.

What the wire format has a field for goes there; the rest is kept in the metadata under `epcis`, so that
the event can go out as it came.  `recordTime` is not kept: it is when some repository took note, and no
part of what happened; ours takes note itself.

What has no serial number, quantities of a class above all, is reported as skipped, never dropped silently.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from chalicelib.domain import instants
from chalicelib.epcis import content_id, contexts, identifiers, retraction, schema, vocabulary
from chalicelib.epcis.vocabulary import KEPT, PREFIX

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")

# These have fields of their own, or are reported.
_SPOKEN_FOR = frozenset(
    [
        *("type", "id", "eventTime", "eventTimeZoneOffset", "recordTime", "eventID", "errorDeclaration"),
        *("@context", "epcList"),
    ]
)
_PART_OF_THE_TABLE = frozenset(["action", "bizStep", "disposition"])


class Captured(NamedTuple):
    """A lifecycle event as the wire format has it, or the reason why an EPC makes none."""

    wire: dict[str, Any] | None
    reason: str | None


class _EventError(ValueError):
    """This EPCIS event cannot become lifecycle events."""


def capture(event: Any, of_document: Sequence[Any], sender: str | None) -> Iterator[Captured]:
    """What one EPCIS event says, for each EPC it names; its document has these contexts and this `sender`."""
    type_ = event.get("type") if isinstance(event, dict) else None
    if not isinstance(type_, str) or type_ not in schema.FIELDS:
        yield Captured(None, "not one of the five event types of EPCIS 2.0")
        return
    for field in schema.QUANTITY_FIELDS:
        quantities = event.get(field)
        for quantity in quantities if isinstance(quantities, list) else []:
            name = quantity.get("epcClass") if isinstance(quantity, dict) else None
            if PREFIX + "serial" not in event:
                yield Captured(
                    None, f"{field}: {ascii(name)[:80]} is a class-level quantity and has no serial"
                )
    seen: set[str] = set()
    meant = event.get(PREFIX + "serial")
    for field, epc in _epcs(event):
        if meant is not None and seen:
            break  # the others have their own events
        try:
            serial = _serial(epc) if meant is None else _meant(meant, epc)
            if serial is None or serial in seen:
                continue
            seen.add(serial)
            yield Captured(_wire(event, field, epc, serial, of_document, sender), None)
        except ValueError as exc:
            yield Captured(None, f"{field}: {exc}")
    if meant is not None and not seen:
        yield Captured(None, f"{PREFIX}serial: no EPC of the event has the serial {ascii(meant)[:80]}")
    if not seen and not any(_epcs(event)) and not any(event.get(field) for field in schema.QUANTITY_FIELDS):
        yield Captured(None, "names no EPC")


def _epcs(event: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in schema.EPC_FIELDS[event["type"]]:
        value = event.get(field)
        if field == "parentID":
            if value is not None:
                yield field, value
        elif isinstance(value, list):
            for epc in value:
                yield field, epc


def _serial(epc: Any) -> str:
    if not isinstance(epc, str):
        raise _EventError("an EPC is a string")
    return identifiers.serial_of(epc)


def _meant(serial: Any, epc: Any) -> str | None:
    """The serial that an event is meant for, if this EPC has it or once had it; the others are not read."""
    if isinstance(serial, str) and isinstance(epc, str):
        return serial if identifiers.has_serial(epc, serial) else None
    return None


def _wire(
    event: Mapping[str, Any],
    field: str,
    epc: str,
    serial: str,
    of_document: Sequence[Any],
    sender: str | None,
) -> dict[str, Any]:
    given_type = event.get(PREFIX + "type")
    wire: dict[str, Any] = {
        "serial": serial,
        "type": given_type
        if isinstance(given_type, str)
        else vocabulary.type_of(event, is_input=field == "inputEPCList"),
        "occurred_at": _occurred_at(event),
    }
    kept = _kept(event, field, epc, wire, of_document)
    event_id = _event_id(event)
    if event_id is None and PREFIX + "eventID" not in event:
        event_id = content_id.of(serial, wire["type"], wire["occurred_at"], kept)
    if _is_in_the_table(kept, wire["type"]):
        kept = {}
    if isinstance(event_id, str) and 1 <= len(event_id) <= 128:
        wire["event_id"] = event_id
    elif event_id is not None:
        kept["eventID"] = event_id
    source = event.get(PREFIX + "source", sender)
    if source is not None:
        wire["source"] = source
    metadata = event.get(PREFIX + "metadata", {})
    if isinstance(metadata, dict):
        metadata = dict(metadata)
        if kept:
            more = metadata.get(KEPT, {})
            metadata[KEPT] = {**more, **kept} if isinstance(more, dict) else kept
    wire["metadata"] = metadata
    if event.get("errorDeclaration") is not None:
        return retraction.void(wire, event)
    return wire


def _event_id(event: Mapping[str, Any]) -> Any:
    """The id that an event has; null in our own field says that it has none, and shall get none."""
    # `id` is what JSON-LD calls an eventID, and some of GS1's own examples do.
    return event.get(PREFIX + "eventID", event.get("eventID", event.get("id")))


def _kept(
    event: Mapping[str, Any], field: str, epc: str, wire: Mapping[str, Any], of_document: Sequence[Any]
) -> dict[str, Any]:
    """What the wire format has no field for, as far as it is about this EPC."""
    kept = {
        name: vocabulary.short(value) if name in _PART_OF_THE_TABLE else value
        for name, value in event.items()
        if name not in _SPOKEN_FOR and not name.startswith(PREFIX)
    }
    event_type = event["type"]
    if event_type in ("ObjectEvent", "TransactionEvent"):
        kept.pop("quantityList", None)  # of other things, and reported
    elif field == "childEPCs":
        # The parent has the whole list; for a child its siblings are no part of its own story.
        kept["childEPCs"] = [epc]
        kept.pop("childQuantityList", None)
    context = contexts.kept({**kept, "@context": event.get("@context")}, of_document)
    if context is not None:
        kept["@context"] = context
    if event_type != "ObjectEvent":
        kept["type"] = event_type
    if field == "epcList" and epc != identifiers.plain_epc(wire["serial"]):
        kept["epcList"] = [epc]  # as it was written; the serial has one spelling only
    return kept


def _is_in_the_table(kept: Mapping[str, Any], type_: str) -> bool:
    """Whether all that an event says beyond the wire format follows from its type."""
    if not kept.keys() <= _PART_OF_THE_TABLE:
        return False
    said = vocabulary.Meaning(str(kept.get("action")), kept.get("bizStep"), kept.get("disposition"))
    return said == vocabulary.meaning_of(type_)


def _occurred_at(event: Mapping[str, Any]) -> str:
    """Local time where it happened: `eventTime` is an instant, `eventTimeZoneOffset` says where."""
    given = event.get(PREFIX + "occurredAt")
    if isinstance(given, str):
        return given
    time, offset = event.get("eventTime"), event.get("eventTimeZoneOffset")
    if not isinstance(time, str):
        raise _EventError("eventTime: expected a string")
    match = _OFFSET.fullmatch(offset) if isinstance(offset, str) else None
    if match is None:
        raise _EventError(f"eventTimeZoneOffset: expected an offset such as +01:00, got {ascii(offset)[:40]}")
    try:
        utc = instants.parse(time).utc
    except ValueError as exc:
        raise _EventError(f"eventTime: {exc}") from exc
    sign, hours, minutes = match.groups()
    away = timedelta(hours=int(hours), minutes=int(minutes))
    leap = utc[17:19] == "60"  # datetime has no second 60
    local = datetime.fromisoformat(utc[:17] + ("59" if leap else utc[17:19]))
    spelled = (local - away if sign == "-" else local + away).isoformat()
    return f"{spelled[:17]}{'60' if leap else spelled[17:]}{utc[19:-1]}{offset if away else 'Z'}"
