"""A lifecycle event: decoded, validated, brought into canonical form, and given its key.

The only place that knows the wire format and the canonical form.  Keys are permanent, so neither the
canonical form nor the digest below may ever change; a new form gets a new `VERSION`.

Canonical form: one JSON object, keys sorted by code point at every level, no white space, no ASCII
escaping, numbers exactly as written, with these keys::

    event_id         left out when absent or null
    metadata         `{}` when absent or null
    occurred_at      UTC, the fraction's trailing zeros removed: 2026-11-20T20:12:47.123Z
    offset_minutes   the offset as given, in minutes east of UTC: 60
    serial
    source           left out when absent or null
    type

Digest: BLAKE2b, 16 bytes, personalised with `lifecycle-v1`, over the UTF-8 of that object.
Position: `2026-11-20T20:12:47.123000Z#<digest in hex>`, the sort key; fractions are cut, not rounded,
so that positions sort as instants do.

The standard library's parser does the decoding because its hooks hand over numbers as text and objects
as pairs (msgspec's decoder keeps neither a number's spelling nor a key's repetition); msgspec encodes,
because its `Raw` puts a number back exactly as it was written.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NoReturn

import msgspec

from chalicelib.errors import InvalidEventError

#: Personalises the digest.  Part of every key ever written.
VERSION = b"lifecycle-v1"

#: JSON nested deeper than this is an invalid event.  Fixed here so that a record is judged alike on
#: every Python version and at every stack depth (interpreters stop between about 900 and 10,000).
MAX_DEPTH = 512

#: The first instant and the first instant no longer accepted, as position prefixes.
EARLIEST, TOO_LATE = "1900", "2201"

_FIELDS = frozenset({"serial", "type", "occurred_at", "event_id", "source", "metadata"})
SERIAL_RULE = "1 to 128 of A-Z a-z 0-9 . _ : -, a letter or digit first"
TYPE_RULE = "a lower-case letter, then up to 63 of a-z 0-9 _"

_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_POSITION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z#[0-9a-f]{32}")
# A string that never ends still matches: a pattern that could fail there would try again from every
# later quote, and a hostile record would take hours.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.?)*"?|[\[\]{}]', re.DOTALL)

_encode = msgspec.json.Encoder(order="sorted").encode


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What happened to a product.

    `occurred_at` is local time with its offset, in one spelling per instant and offset; `metadata` is
    canonical JSON text; `position` is the sort key.  Equal content means equal fields, and the reverse.
    """

    serial: str
    type: str
    occurred_at: str
    event_id: str | None
    source: str | None
    metadata: str
    position: str


class Instant(msgspec.Struct, frozen=True, gc=False):
    """A moment as RFC 3339 gave it: the same one in UTC, at the key's width, and in local time."""

    utc: str  # 2026-11-20T20:12:47.123Z, every digit but trailing zeros
    offset_minutes: int
    prefix: str  # 2026-11-20T20:12:47.123000Z, what positions begin with
    local: str  # 2026-11-20T21:12:47.123+01:00


def decode(data: bytes) -> Event:
    """Return the event that `data` holds.

    Raises InvalidEventError with reason `not_utf8`, `not_json` or `invalid_event`.
    """
    fields = _parse(data)
    if type(fields) is not dict:
        raise _invalid(f"an event is a JSON object, got {_kind(fields)}")
    if not fields.keys() <= _FIELDS:
        raise _invalid(f"{_shown(min(fields.keys() - _FIELDS))}: no such field in an event")
    serial = _matching(fields, "serial", _SERIAL, SERIAL_RULE)
    type_ = _matching(fields, "type", _TYPE, TYPE_RULE)
    occurred = _instant(fields)
    event_id = _optional_text(fields, "event_id")
    source = _optional_text(fields, "source")
    metadata = fields.get("metadata")
    if metadata is None:
        metadata = {}
    elif type(metadata) is not dict:
        raise _invalid(f"`metadata`: expected a JSON object, got {_kind(metadata)}")
    canonical: dict[str, Any] = {
        "metadata": metadata,
        "occurred_at": occurred.utc,
        "offset_minutes": occurred.offset_minutes,
        "serial": serial,
        "type": type_,
    }
    if event_id is not None:
        canonical["event_id"] = event_id
    if source is not None:
        canonical["source"] = source
    try:
        metadata_text = _encode(metadata)
        canonical["metadata"] = msgspec.Raw(metadata_text)
        digest = blake2b(_encode(canonical), digest_size=16, person=VERSION)
    except UnicodeEncodeError as exc:
        raise _invalid("a string holds half of a surrogate pair, which UTF-8 cannot carry") from exc
    return Event(
        serial=serial,
        type=type_,
        occurred_at=occurred.local,
        event_id=event_id,
        source=source,
        metadata=metadata_text.decode(),
        position=f"{occurred.prefix}#{digest.hexdigest()}",
    )


def instant(text: str) -> Instant:
    """Read an RFC 3339 time with an offset.  Raises ValueError with a sentence."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"expected RFC 3339 with an offset, got {_shown(text)}")
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    offset = 0
    if sign is not None:
        offset = int(offset_hours) * 60 + int(offset_minutes)
        if sign == "-":
            offset = -offset
    leap = second == "60"
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second)
        )
        if offset:
            moment -= timedelta(minutes=offset)
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"expected RFC 3339 with an offset, got {_shown(text)}: {exc}") from exc
    utc = moment.isoformat()
    if leap:
        # datetime has no second 60; RFC 3339 allows it in the last minute of a UTC month.
        if moment.hour != 23 or moment.minute != 59 or (moment + timedelta(seconds=1)).day != 1:
            raise ValueError(f"a leap second ends a month in UTC, got {_shown(text)}")
        utc = utc[:-2] + "60"
    if not EARLIEST <= utc < TOO_LATE:
        raise ValueError(f"expected a year from 1900 to 2200, got {_shown(text)}")
    digits = fraction.rstrip("0") if fraction else ""
    point = "." if digits else ""
    if offset:
        zone = f"{sign}{offset_hours}:{offset_minutes}"
    else:
        zone = "Z"
    return Instant(
        utc=f"{utc}{point}{digits}Z",
        offset_minutes=offset,
        prefix=f"{utc}.{digits[:6]:0<6}Z",
        local=f"{year}-{month}-{day}T{hour}:{minute}:{second}{point}{digits}{zone}",
    )


def is_serial(text: str) -> bool:
    """Whether a product may have this serial number."""
    return _SERIAL.fullmatch(text) is not None


def is_type(text: str) -> bool:
    """Whether an event may have this type."""
    return _TYPE.fullmatch(text) is not None


def is_position(text: object) -> bool:
    """Whether this could be an event's position."""
    return isinstance(text, str) and _POSITION.fullmatch(text) is not None


def prefix_of(position: str) -> str:
    """The instant a position begins with, in UTC at microsecond width."""
    return position[:27]


def _parse(data: bytes) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidEventError("not_utf8", f"byte {exc.start} is not UTF-8: {exc.reason}") from exc
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise _invalid(f"nested more than {MAX_DEPTH} deep")
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as exc:
        if text.startswith("\ufeff"):
            raise InvalidEventError("not_json", "begins with a byte order mark, which is not JSON") from exc
        raise InvalidEventError(
            "not_json", f"not JSON at line {exc.lineno} column {exc.colno}: {exc.msg}"
        ) from exc


def _depth(text: str) -> int:
    """How deep brackets nest, those inside strings left out."""
    depth = deepest = 0
    for bracket in _STRING_OR_BRACKET.findall(text):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    obj = dict(pairs)
    if len(obj) != len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise _invalid(f"the key {_shown(repeated)} stands twice in one object")
    return obj


def _no_constant(name: str) -> NoReturn:
    raise InvalidEventError("not_json", f"{name} is not JSON")


# Numbers stay text: `Raw` is written back as it stands, and no number is too long or too precise.
_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=msgspec.Raw, parse_float=msgspec.Raw, parse_constant=_no_constant
)


def _matching(fields: dict[str, Any], name: str, pattern: re.Pattern[str], rule: str) -> str:
    value = fields.get(name)
    if type(value) is not str:
        raise _invalid(f"`{name}`: {_absent_or(value)}")
    if pattern.fullmatch(value) is None:
        raise _invalid(f"`{name}`: expected {rule}, got {_shown(value)}")
    return value


def _instant(fields: dict[str, Any]) -> Instant:
    value = fields.get("occurred_at")
    if type(value) is not str:
        raise _invalid(f"`occurred_at`: {_absent_or(value)}")
    try:
        return instant(value)
    except ValueError as exc:
        raise _invalid(f"`occurred_at`: {exc}") from exc


def _optional_text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if type(value) is not str:
        raise _invalid(f"`{name}`: expected a string, got {_kind(value)}")
    if not 1 <= len(value) <= 128:
        raise _invalid(f"`{name}`: expected 1 to 128 characters, got {len(value)}")
    return value


def _invalid(sentence: str) -> InvalidEventError:
    return InvalidEventError("invalid_event", sentence)


def _absent_or(value: object) -> str:
    return "required, but absent" if value is None else f"expected a string, got {_kind(value)}"


def _kind(value: object) -> str:
    """What a JSON value is, in JSON's words."""
    names = {str: "a string", bool: "a boolean", dict: "an object", list: "an array", msgspec.Raw: "a number"}
    return names.get(type(value), "null")


def _shown(text: str) -> str:
    """A value for a sentence: quoted, escaped, and never long."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
