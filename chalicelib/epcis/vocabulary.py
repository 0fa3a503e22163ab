"""Lifecycle types and what CBV 2.0 calls them: the one table, read in both directions.

Where CBV has no word that means the same, the step is our own, in the extension namespace: a wrong word
would mislead more than an unknown one.  `encoding` for serialization would be such a word: CBV keeps it
for tags that no object bears yet.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from chalicelib.domain import events

#: The extension namespace, and the prefix that documents give it.
NAMESPACE, PREFIX = "urn:x-lifecycle:", "lifecycle:"

#: Where an event's metadata keeps what only EPCIS has a field for.
KEPT = "epcis"

_OWN_STEP = NAMESPACE + "step:"


class Meaning(NamedTuple):
    """What an ObjectEvent says; None where it says nothing."""

    action: str
    biz_step: str | None
    disposition: str | None


def words(text: str) -> frozenset[str]:
    """The words of a text, for lists of words that are easier to read without quotes."""
    return frozenset(text.split())


def _own(type_: str, disposition: str | None = None) -> Meaning:
    return Meaning("OBSERVE", _OWN_STEP + type_, disposition)


#: Every known type.
MEANINGS: dict[str, Meaning] = {
    "production": Meaning("ADD", "commissioning", "active"),
    "serialization": _own("serialization", "active"),
    "inventory": Meaning("OBSERVE", "storing", "sellable_not_accessible"),
    "dealer_registration": Meaning("OBSERVE", "accepting", "sellable_accessible"),
    "service": Meaning("OBSERVE", "repairing", "in_progress"),
    "warranty": _own("warranty"),
    "note": _own("note"),
    "theft": Meaning("OBSERVE", None, "stolen"),
    "recovery": _own("recovery", "returned"),
    "refabrication": _own("refabrication", "active"),
    "retirement": Meaning("DELETE", "decommissioning", "inactive"),
    "void": _own("void"),
}

#: Steps that mean a known type whatever stands beside them.
_STEPS = {
    "decommissioning": "retirement",
    "destroying": "retirement",
    "receiving": "inventory",
    "repairing": "service",
    "stocking": "inventory",
    "storing": "inventory",
}

BIZ_STEPS = words(
    "accepting arriving assembling collecting commissioning consigning creating_class_instance "
    "cycle_counting decommissioning departing destroying disassembling dispensing encoding "
    "entering_exiting holding inspecting installing killing loading other packing picking receiving "
    "removing repackaging repairing replacing reserving retail_selling shipping staging_outbound "
    "stock_taking stocking storing transporting unloading unpacking void_shipping sensor_reporting "
    "sampling"
)

DISPOSITIONS = words(
    "active container_closed damaged destroyed dispensed disposed encoded expired in_progress "
    "in_transit inactive no_pedigree_match non_sellable_other partially_dispensed recalled reserved "
    "retail_sold returned sellable_accessible sellable_not_accessible stolen unknown available "
    "completeness_verified completeness_inferred conformant container_open mismatch_instance "
    "mismatch_class mismatch_quantity needs_replacement non_conformant unavailable"
)

# The long spellings of CBV's words: EPCIS 1.2's URNs and the web vocabulary.
_LONG = re.compile(
    r"(?:urn:epcglobal:cbv:(?:bizstep|disp|er):|https?://(?:ns|ref)\.gs1\.org/cbv/(?:BizStep|Disp|ER)-"
    r"|cbv:(?:BizStep|Disp|ER)-)([a-z_]+)"
)
_NOT_IN_A_TYPE = re.compile(r"[^a-z0-9]+")
_WORD_STARTS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def meaning_of(type_: str) -> Meaning:
    """What an event of this type says in EPCIS; an unknown type is CBV's own word, or a step of ours."""
    known = MEANINGS.get(type_)
    if known is not None:
        return known
    said = Meaning("OBSERVE", type_, None)
    if type_ in BIZ_STEPS and _type_of("ObjectEvent", said, is_input=False) == type_:
        return said
    return _own(type_)


def type_of(event: Mapping[str, Any], *, is_input: bool) -> str:
    """The lifecycle type of an EPCIS event; `is_input`: for what a transformation uses up."""
    said = Meaning(str(event.get("action")), _text(event, "bizStep"), _text(event, "disposition"))
    return _type_of(str(event["type"]), said, is_input=is_input)


def short(word: Any) -> Any:
    """A CBV word in its short spelling; anything else as it is."""
    match = _LONG.fullmatch(word) if isinstance(word, str) else None
    return match.group(1) if match else word


def _type_of(event_type: str, said: Meaning, *, is_input: bool) -> str:
    if is_input:
        return "transformation"
    for type_, meaning in MEANINGS.items():
        if said == meaning:
            return type_
    step = said.biz_step
    if said.disposition == "stolen":
        return "theft"
    if step is None:
        return _WORD_STARTS.sub("_", event_type).lower()
    if step.startswith(_OWN_STEP) and events.is_type(step.removeprefix(_OWN_STEP)):
        return step.removeprefix(_OWN_STEP)
    begins = said.action == "ADD" or event_type == "TransformationEvent"
    if step == "commissioning" and begins:
        return "production"
    if step in _STEPS:
        return _STEPS[step]
    # Another's step is named by the end of its URI.
    name = _NOT_IN_A_TYPE.sub("_", re.split(r"[/:#]", step.rstrip("/#:"))[-1].lower()).strip("_")[:64]
    return name if events.is_type(name) else _WORD_STARTS.sub("_", event_type).lower()


def _text(event: Mapping[str, Any], name: str) -> str | None:
    value = short(event.get(name))
    return value if isinstance(value, str) else None
