"""Stored events out as EPCIS: valid documents, from which the same events come in again.

An event that came from EPCIS goes out as it came, as far as each of its fields has the right shape;
whether it would come in again as itself is tried, and if not, it goes out in the plain form, in which
everything EPCIS has no field for stands in the extension namespace.  So does everything larger than an EPCIS
event reasonably is: looking into it costs more than its reader gains.

A void goes out as the event that it takes out, with an `errorDeclaration`: the event that it keeps if it came
from EPCIS, and otherwise the one that it takes out on the same page.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chalicelib import strict_json
from chalicelib.domain import events, instants
from chalicelib.domain.voids import VOID, Voiding
from chalicelib.epcis import capture, contexts, identifiers, retraction, schema, vocabulary
from chalicelib.epcis.vocabulary import KEPT, NAMESPACE, PREFIX
from chalicelib.errors import InvalidEventError
from chalicelib.tables.history import StoredEvent

#: Metadata of more characters goes out plain, whatever it keeps of EPCIS.
MAX_CHARACTERS = 65_536

_JSON = {"@type": "@json"}

#: What the names with our prefix mean; metadata is JSON as it stands, not linked data.
_OUR_CONTEXT = {PREFIX.rstrip(":"): NAMESPACE, PREFIX + "metadata": _JSON, retraction.CARRIED: _JSON}

_FARTHEST_MINUTES = 14 * 60

_Form = dict[str, Any]


def document(
    stored: Sequence[StoredEvent], recorded_at: Sequence[str], voided: Mapping[str, Voiding] | None = None
) -> str:
    """Return an EPCIS document of these events.

    `recorded_at` is when each was recorded, as RFC 3339; `voided` is what is taken out, by position.  The
    document was created when its newest event was recorded: the same events make the same document.
    """
    taken_out = voided or {}
    by_void: dict[str, StoredEvent] = {}
    for each in stored:
        voiding = taken_out.get(each.position)
        if voiding is not None and each.type != VOID:
            by_void.setdefault(voiding.by, each)
    forms = [
        _void_form(each, at, by_void.get(each.position))
        if each.type == VOID and each.position not in taken_out
        else event(each, at)
        for each, at in zip(stored, recorded_at, strict=True)
    ]
    return msgspec.json.encode(
        {
            "@context": [contexts.STANDARD, *_shared_contexts(stored, forms), _OUR_CONTEXT],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": max(recorded_at, default="1970-01-01T00:00:00Z"),
            "epcisBody": {"eventList": forms},
        }
    ).decode()


def event(stored: StoredEvent, recorded_at: str) -> _Form:
    """Return one event as EPCIS has it, with its own `@context` if it needs one."""
    metadata = _metadata_to_read(stored)
    kept = metadata.get(KEPT)
    if isinstance(kept, dict) and kept:
        rich = _rich(stored, recorded_at, metadata, kept)
        if rich is not None and _comes_in_as(rich, stored):
            return rich
    return _plain(stored, recorded_at)


def _void_form(void: StoredEvent, recorded_at: str, taken_out: StoredEvent | None) -> _Form:
    """A void as the event that it is about, with an error declaration; otherwise as any other event."""
    kept = _metadata_to_read(void).get(KEPT)
    found = retraction.declared(void.serial, kept) if isinstance(kept, dict) else None
    if found is not None and found[0].type != VOID and schema.is_declaration(found[1]):
        declared, declaration = found
        about = StoredEvent(**msgspec.structs.asdict(declared), recorded_at_ms=void.recorded_at_ms)
        form = event(about, recorded_at) | {"errorDeclaration": declaration}
        if _comes_in_as(form, void):
            return form
    if taken_out is not None and max(len(void.metadata), len(taken_out.metadata)) <= MAX_CHARACTERS:
        form = event(taken_out, recorded_at) | _carried(void)
        if _comes_in_as(form, void):
            return form
    return event(void, recorded_at)


def _carried(void: StoredEvent) -> _Form:
    """The fields that make an event the void of itself."""
    wire = {
        "occurred_at": void.occurred_at,
        "event_id": void.event_id,
        "source": void.source,
        "metadata": msgspec.Raw(void.metadata.encode()),
    }
    metadata = _metadata_to_read(void)
    declaration = retraction.declaration_of(_when(void)["eventTime"], metadata.get("why"))
    return {
        "errorDeclaration": declaration,
        retraction.CARRIED: {name: value for name, value in wire.items() if value is not None},
    }


def _shared_contexts(stored: Sequence[StoredEvent], forms: Sequence[_Form]) -> list[Any]:
    """Take the contexts of events together for their document, as far as each event comes in with its own."""
    if not any("@context" in form for form in forms):
        return []
    shared = contexts.merged(form["@context"] for form in forms if "@context" in form)
    without = [{name: value for name, value in form.items() if name != "@context"} for form in forms]
    if not shared or not all(
        _comes_in_as(form, each, shared) for form, each in zip(without, stored, strict=True)
    ):
        return []
    for form in forms:
        form.pop("@context", None)
    return shared


def _metadata_to_read(stored: StoredEvent) -> dict[str, Any]:
    """The metadata of an event, empty where nothing in it is of EPCIS or it is too large."""
    is_of_interest = stored.type == VOID or f'"{KEPT}"' in stored.metadata
    if not is_of_interest or len(stored.metadata) > MAX_CHARACTERS:
        return {}
    metadata: dict[str, Any] = strict_json.decode(stored.metadata)
    return metadata


def _plain(stored: StoredEvent, recorded_at: str) -> _Form:
    meaning = vocabulary.meaning_of(stored.type)
    epc = identifiers.plain_epc(stored.serial)
    plain: _Form = {
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
    if stored.metadata != "{}":
        plain[PREFIX + "metadata"] = msgspec.Raw(stored.metadata.encode())
    return plain


def _rich(
    stored: StoredEvent, recorded_at: str, metadata: dict[str, Any], kept: dict[str, Any]
) -> _Form | None:
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


def _what_and_when(stored: StoredEvent, recorded_at: str) -> _Form:
    fields = _when(stored) | {"recordTime": recorded_at}
    if identifiers.is_uri(stored.event_id):
        fields["eventID"] = stored.event_id
    else:
        fields[PREFIX + "eventID"] = stored.event_id
    if stored.source is not None:
        fields[PREFIX + "source"] = stored.source
    return fields


def _when(stored: StoredEvent) -> _Form:
    instant = instants.parse(stored.occurred_at)
    if abs(instant.offset_minutes) > _FARTHEST_MINUTES:
        return {
            "eventTime": instant.utc,
            "eventTimeZoneOffset": "+00:00",
            PREFIX + "occurredAt": stored.occurred_at,
        }
    offset = stored.occurred_at[-6:] if instant.offset_minutes else "+00:00"
    return {"eventTime": stored.occurred_at, "eventTimeZoneOffset": offset}


def _comes_in_as(form: _Form, stored: StoredEvent, of_document: Sequence[Any] = ()) -> bool:
    captured = list(capture.capture(form, of_document, None))
    if len(captured) != 1 or captured[0].wire is None:
        return False
    try:
        again = events.decode(msgspec.json.encode(captured[0].wire))
    except InvalidEventError:
        return False
    return (again.serial, again.position) == (stored.serial, stored.position)
