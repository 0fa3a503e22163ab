"""EPCIS events in, lifecycle events out: one for each instance-level EPC that an event names.

What the wire format has a field for goes there; the rest is kept in the metadata under `epcis`, so that
the event can go out as it came.  `recordTime` is not kept: it is when some repository took note, and no
part of what happened; ours takes note itself.

What has no serial number, quantities of a class above all, is reported as skipped, never dropped silently.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from chalicelib import strict_json
from chalicelib.domain import events, instants
from chalicelib.epcis import identifiers, schema, vocabulary
from chalicelib.epcis.vocabulary import PREFIX
from chalicelib.errors import InvalidEventError

#: Where an event's metadata keeps what only EPCIS has a field for.
KEPT = "epcis"

#: The standard context, which every document begins with.
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

_STANDARD = re.compile(
    r"https?://(?:ref\.gs1\.org/standards/epcis|gs1\.github\.io/EPCIS)/.*epcis-context\.jsonld"
)
_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")

# These have fields of their own, or are reported.
_SPOKEN_FOR = frozenset(
    ["type", "id", "eventTime", "eventTimeZoneOffset", "recordTime", "eventID", "errorDeclaration"]
)
_PART_OF_THE_TABLE = frozenset(["action", "bizStep", "disposition"])


class Captured(NamedTuple):
    """A lifecycle event as the wire format has it, or the reason why an EPC makes none."""

    wire: dict[str, Any] | None
    reason: str | None


class _EventError(ValueError):
    """This EPCIS event cannot become lifecycle events."""


def decode(text: str) -> Any:
    """JSON with numbers as `msgspec.Raw`, spelled as they were.  Raises ValueError and RecursionError."""
    return strict_json.decode(text)


def document_events(document: Any) -> tuple[list[Any], list[Any], str | None]:
    """The events of an EPCIS document, query document or single event; its own contexts; and its sender.

    Raises ValueError for anything else.
    """
    if not isinstance(document, dict):
        raise ValueError("an EPCIS document is a JSON object")
    type_ = document.get("type")
    contexts = _own_contexts(document.get("@context"))
    sender = document.get("sender")
    if isinstance(type_, str) and type_ in schema.FIELDS:
        return [{name: value for name, value in document.items() if name != "@context"}], contexts, None
    body = document.get("epcisBody")
    if type_ == "EPCISQueryDocument" and isinstance(body, dict):
        results = body.get("queryResults")
        body = results.get("resultsBody") if isinstance(results, dict) else None
    elif type_ != "EPCISDocument":
        raise ValueError(f"not an EPCIS document: its type is {ascii(type_)[:60]}")
    found = body.get("eventList") if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise ValueError("the EPCIS document has no eventList")
    return found, contexts, sender if isinstance(sender, str) and 1 <= len(sender) <= 128 else None


def capture(event: Any, contexts: list[Any], sender: str | None) -> Iterator[Captured]:
    """What one EPCIS event says, for each EPC it names; `contexts` and `sender` are its document's."""
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
    for field, epc in _epcs(event):
        try:
            serial = _serial(epc)
            if serial in seen or event.get(PREFIX + "serial", serial) != serial:
                continue
            seen.add(serial)
            yield Captured(_wire(event, field, epc, serial, contexts, sender), None)
        except ValueError as exc:
            yield Captured(None, f"{field}: {exc}")
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
    if identifiers.is_class_level(epc):
        raise _EventError(f"{ascii(epc)[:80]} names a class and has no serial")
    return identifiers.serial_of(epc)


def _wire(
    event: Mapping[str, Any], field: str, epc: str, serial: str, contexts: list[Any], sender: str | None
) -> dict[str, Any]:
    given_type = event.get(PREFIX + "type")
    wire: dict[str, Any] = {
        "serial": serial,
        "type": given_type
        if isinstance(given_type, str)
        else vocabulary.type_of(event, is_input=field == "inputEPCList"),
        "occurred_at": _occurred_at(event),
    }
    # `id` is what JSON-LD calls an eventID, and some of GS1's own examples do.
    event_id = event.get(PREFIX + "eventID", event.get("eventID", event.get("id")))
    kept = _kept(event, field, epc, wire["type"], contexts)
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
        return _void(wire, event["errorDeclaration"])
    return wire


def _void(wire: dict[str, Any], declaration: Any) -> dict[str, Any]:
    """The event that takes the erroneous one out: its position follows from its content."""
    declared = declaration.get("declarationTime") if isinstance(declaration, dict) else None
    if not isinstance(declared, str):
        raise _EventError("errorDeclaration: has no declarationTime")
    try:
        position = events.decode(msgspec.json.encode(wire)).position
    except InvalidEventError as exc:
        raise _EventError(f"errorDeclaration: {exc}") from exc
    void = {
        "serial": wire["serial"],
        "type": "void",
        "occurred_at": declared,
        "metadata": {"position": position, KEPT: {"errorDeclaration": declaration}},
    }
    return void | ({"source": wire["source"]} if "source" in wire else {})


def _kept(event: Mapping[str, Any], field: str, epc: str, type_: str, contexts: list[Any]) -> dict[str, Any]:
    """What the wire format has no field for, as far as it is about this EPC."""
    kept = {
        name: vocabulary.short(value) if name in _PART_OF_THE_TABLE else value
        for name, value in event.items()
        if name not in _SPOKEN_FOR and name != "epcList" and not name.startswith(PREFIX)
    }
    event_type = event["type"]
    if event_type in ("ObjectEvent", "TransactionEvent"):
        kept.pop("quantityList", None)  # of other things, and reported
    elif field == "childEPCs":
        # The parent has the whole list; for a child its siblings are no part of its own story.
        kept["childEPCs"] = [epc]
        kept.pop("childQuantityList", None)
    used = [context for context in contexts if _uses(kept, context)]
    if used and "@context" not in kept:
        kept["@context"] = used
    if event_type != "ObjectEvent":
        kept["type"] = event_type
    if kept.keys() <= _PART_OF_THE_TABLE:
        said = vocabulary.Meaning(str(kept.get("action")), kept.get("bizStep"), kept.get("disposition"))
        if said == vocabulary.meaning_of(type_):
            return {}
    return kept


def _uses(value: Any, context: Any) -> bool:
    """Whether a name in the value has one of the context's prefixes."""
    if isinstance(value, list):
        return any(_uses(member, context) for member in value)
    if not isinstance(value, dict):
        return False
    return any(
        (":" in name and name.partition(":")[0] in context) or _uses(member, context)
        for name, member in value.items()
    )


def _own_contexts(context: Any) -> list[Any]:
    """The contexts beside the standard one, which go with the names that they explain."""
    entries = context if isinstance(context, list) else [context]
    return [entry for entry in entries if isinstance(entry, dict) and PREFIX.rstrip(":") not in entry]


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
