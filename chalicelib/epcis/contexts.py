"""JSON-LD contexts beyond the standard one: which of them go with an event, and which fit a whole document.

A `@context` is the address of a context, an object of terms, or a list of both, of the document or of one
event.  Addresses are never fetched, so what they define is unknown: an event keeps those of its document when
it has a name with a prefix, and the objects that define a name or a prefix in it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chalicelib.epcis.vocabulary import PREFIX

#: The standard context, which every document begins with.
STANDARD = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

#: A `@context` beyond one of these is refused coming in, and is plain metadata going out.
MAX_ENTRIES = 64
MAX_CHARACTERS = 16_384

_STANDARD = re.compile(
    r"https?://(?:ref\.gs1\.org/standards/epcis|gs1\.github\.io/EPCIS)/(?:[^/]+/)*epcis-context\.jsonld"
)
_OURS = PREFIX.rstrip(":")


def own(context: Any) -> list[Any]:
    """Return the entries of a `@context` that are neither the standard one nor ours.

    Raises ValueError when it is too large.
    """
    entries = [] if context is None else context if isinstance(context, list) else [context]
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"@context: at most {MAX_ENTRIES} entries are read, got {len(entries):,}")
    size = len(msgspec.json.encode(entries))
    if size > MAX_CHARACTERS:
        raise ValueError(f"@context: at most {MAX_CHARACTERS:,} characters are read, got {size:,}")
    return [entry for entry in entries if not _is_known(entry)]


def kept(event: Mapping[str, Any], of_document: Sequence[Any]) -> Any:
    """Return the `@context` that goes with an event, None for none; `event` holds what is kept of it.

    Its own goes in the form in which it is written.  Raises ValueError when that is too large.
    """
    given = event.get("@context")
    of_event = own(given)
    used = _used(event, [entry for entry in of_document if entry not in of_event]) if of_document else []
    if used:
        return used + of_event
    return given if of_event == [given] else of_event or None


def merged(each: Iterable[Any]) -> list[Any]:
    """Return the entries of several events' contexts that can stand together in their document.

    None are returned when one of them is no list, two define a term differently, or they are too many.
    """
    entries: list[Any] = []
    meanings: dict[str, Any] = {}
    for context in each:
        if not isinstance(context, list):
            return []
        for entry in context:
            if entry in entries:
                continue
            entries.append(entry)
            for term, meaning in entry.items() if isinstance(entry, dict) else ():
                if meanings.setdefault(term, meaning) != meaning:
                    return []
        if len(entries) > MAX_ENTRIES:
            return []
    try:
        return own(entries)
    except ValueError:
        return []


def _is_known(entry: Any) -> bool:
    if isinstance(entry, str):
        return len(entry) < 200 and _STANDARD.fullmatch(entry) is not None
    return isinstance(entry, dict) and _OURS in entry


def _used(event: Mapping[str, Any], contexts: Sequence[Any]) -> list[Any]:
    names, is_extended = _names_in(event)
    return [
        entry
        for entry in contexts
        if (is_extended if isinstance(entry, str) else not names.isdisjoint(entry))
    ]


def _names_in(event: Mapping[str, Any]) -> tuple[set[str], bool]:
    """The names and prefixes that an event uses, at any depth, and whether a name has a prefix."""
    names: set[str] = set()
    is_extended = False
    left: list[Any] = [{name: value for name, value in event.items() if name != "@context"}]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(value)
        elif isinstance(value, dict):
            for name in value:
                prefix, colon, _ = name.partition(":")
                names.add(name)
                if colon:
                    names.add(prefix)
                    is_extended = True
            left.extend(value.values())
        elif isinstance(value, str):
            prefix, colon, _ = value.partition(":")
            if colon:
                names.add(prefix)
    return names, is_extended
