"""The event id of an EPCIS event that has none: a digest of what it says about one thing.

GS1's CBV proposes hashed ids for the same reason: only so can an event without an id be named again, by an
error declaration above all.  What partners write in several ways for the same fact is not part of it: the
sender, the offset, empty fields, contexts, spellings of EPCs and of CBV's words.

Ids are stored, so what this module makes of an event it has to make of it for ever.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from chalicelib.domain import instants
from chalicelib.epcis import identifiers, vocabulary
from chalicelib.epcis.vocabulary import NAMESPACE

_EPCS = frozenset(["parentID", "childEPCs", "inputEPCList", "outputEPCList"])
_NO_FACT = frozenset(["@context", "epcList"])

_sorted = msgspec.json.Encoder(order="sorted").encode


def of(serial: str, type_: str, occurred_at: str, kept: Mapping[str, Any]) -> str:
    """Return the id of an event of this lifecycle type; `kept` is what it says beyond.

    Raises ValueError for an `occurred_at` that is none and for half of a surrogate pair.
    """
    said = {name: _normal(name, value) for name, value in kept.items() if name not in _NO_FACT}
    said = {name: value for name, value in said.items() if value not in (None, "", [], {})}
    whole = _sorted([serial, type_, instants.parse(occurred_at).utc, said])
    digest = blake2b(whole, digest_size=16, person=b"epcis-id-v1").hexdigest()
    return f"{NAMESPACE}content:{digest}"


def _normal(name: str, value: Any) -> Any:
    """One spelling of a field's value; values deeper inside stay as they are."""
    if name not in _EPCS:
        return vocabulary.short(value)
    if isinstance(value, list):
        return sorted(map(_serial, value), key=_sorted)
    return _serial(value)


def _serial(epc: Any) -> Any:
    try:
        return identifiers.serial_of(epc) if isinstance(epc, str) else epc
    except ValueError:
        return epc
