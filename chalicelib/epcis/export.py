"""Stored events out as EPCIS: valid documents, from which the same events come in again.

An event that came from EPCIS goes out as it came, as far as each of its fields has the right shape;
whether it would come in again as itself is tried, and if not, it goes out in the plain form, in which
everything EPCIS has no field for stands in the extension namespace.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from chalicelib.domain import events, instants
from chalicelib.epcis import capture, identifiers, schema, vocabulary
from chalicelib.epcis.capture import CONTEXT, KEPT
from chalicelib.epcis.vocabulary import NAMESPACE, PREFIX
from chalicelib.errors import InvalidEventError
from chalicelib.tables.history import StoredEvent

#: What the names with our prefix mean; metadata is JSON as it stands, not linked data.
_OUR_CONTEXT = {PREFIX.rstrip(":"): NAMESPACE, PREFIX + "metadata": {"@type": "@json"}}

_FARTHEST_MINUTES = 14 * 60


def document(stored: Sequence[StoredEvent], recorded_at: Sequence[str]) -> str:
    """An EPCIS document of these events; `recorded_at` is when each was recorded, as RFC 3339.

    It was created when its newest event was recorded: the same events make the same document.
    """
    return msgspec.json.encode(
        {
            "@context": [CONTEXT, _OUR_CONTEXT],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": max(recorded_at, default="1970-01-01T00:00:00Z"),
            "epcisBody": {
                "eventList": [event(each, at) for each, at in zip(stored, recorded_at, strict=True)]
            },
        }
    ).decode()


def event(stored: StoredEvent, recorded_at: str) -> dict[str, Any]:
    """One event as EPCIS has it."""
    metadata = capture.decode(stored.metadata)
    kept = metadata.get(KEPT)
    if isinstance(kept, dict) and kept:
        rich = _rich(stored, recorded_at, metadata, kept)
        if rich is not None and _comes_in_as(rich, stored):
            return rich
    return _plain(stored, recorded_at, metadata)


def _plain(stored: StoredEvent, recorded_at: str, metadata: dict[str, Any]) -> dict[str, Any]:
    meaning = vocabulary.meaning_of(stored.type)
    epc = identifiers.plain_epc(stored.serial)
    plain = {
        "type": "ObjectEvent",
        **_what_and_when(stored, recorded_at),
        "epcList": [epc],
        "action": meaning.action,
    }
    if identifiers.is_earlier_serial(stored.serial):
        plain[PREFIX + "serial"] = stored.serial
    if meaning.biz_step is not None:
        plain["bizStep"] = meaning.biz_step
    if meaning.disposition is not None:
        plain["disposition"] = meaning.disposition
    if metadata:
        plain[PREFIX + "metadata"] = metadata
    return plain


def _rich(
    stored: StoredEvent, recorded_at: str, metadata: dict[str, Any], kept: dict[str, Any]
) -> dict[str, Any] | None:
    type_ = kept.get("type", "ObjectEvent")
    if not isinstance(type_, str) or type_ not in schema.FIELDS:
        return None
    rich: dict[str, Any] = {"type": type_, **_what_and_when(stored, recorded_at)}
    fields = schema.FIELDS[type_]
    left = {}
    epcs = [identifiers.plain_epc(stored.serial)]
    for name, value in kept.items():
        if name == "type":
            continue
        if name == "epcList" and _names(value, stored.serial):
            epcs = value  # as it was written when it came in
        elif fields[name](value) if name in fields else schema.is_extension(name):
            rich[name] = value
        else:
            left[name] = value
    if type_ in ("ObjectEvent", "TransactionEvent"):
        rich["epcList"] = [] if _names([rich.get("parentID")], stored.serial) else epcs
    is_input = any(_names([epc], stored.serial) for epc in rich.get("inputEPCList", ()))
    if vocabulary.type_of(rich, is_input=is_input) != stored.type:
        rich[PREFIX + "type"] = stored.type
    if type_ != "ObjectEvent" or identifiers.is_earlier_serial(stored.serial):
        # Others are named too, and have their own histories; or the EPC has another serial now.
        rich[PREFIX + "serial"] = stored.serial
    others = {name: value for name, value in metadata.items() if name != KEPT}
    if left:
        others[KEPT] = left
    if others:
        rich[PREFIX + "metadata"] = others
    return rich if schema.is_whole(rich) else None


def _names(epcs: Any, serial: str) -> bool:
    """Whether this is a list of one EPC, which is or was the serial's."""
    return (
        isinstance(epcs, list)
        and len(epcs) == 1
        and identifiers.is_uri(epcs[0])
        and identifiers.has_serial(epcs[0], serial)
    )


def _what_and_when(stored: StoredEvent, recorded_at: str) -> dict[str, Any]:
    instant = instants.parse(stored.occurred_at)
    near = abs(instant.offset_minutes) <= _FARTHEST_MINUTES
    fields: dict[str, Any] = {
        "eventTime": stored.occurred_at if near else instant.utc,
        "eventTimeZoneOffset": "+00:00",
        "recordTime": recorded_at,
    }
    if not near:
        fields[PREFIX + "occurredAt"] = stored.occurred_at
    elif instant.offset_minutes:
        fields["eventTimeZoneOffset"] = stored.occurred_at[-6:]
    if identifiers.is_uri(stored.event_id):
        fields["eventID"] = stored.event_id
    elif stored.event_id is not None:
        fields[PREFIX + "eventID"] = stored.event_id
    if stored.source is not None:
        fields[PREFIX + "source"] = stored.source
    return fields


def _comes_in_as(rich: dict[str, Any], stored: StoredEvent) -> bool:
    captured = list(capture.capture(rich, [], None))
    if len(captured) != 1 or captured[0].wire is None:
        return False
    try:
        again = events.decode(msgspec.json.encode(captured[0].wire))
    except InvalidEventError:
        return False
    return (again.serial, again.position) == (stored.serial, stored.position)
