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

An event is read in one of two ways, and both give the same event.  msgspec's parser is quick, but keeps
neither a key's repetition nor the sign of `-0`.  The standard library's is thorough: its hooks hand over
numbers as text and objects as pairs, and it says what is wrong and where.  What was read quickly counts only
when it is exactly as long as what arrived, written again: writing shortens everything that it changes
(white space, escapes, null, a repeated key, `-0`), so the same length means that nothing was lost.
Everything else is read thoroughly, an event without metadata too, because there writing adds some.
msgspec writes, because its `Raw` puts a number back as it was written.
"""

import json
import re
from hashlib import blake2b
from typing import Any

import msgspec

from chalicelib import strict_json
from chalicelib.domain import instants
from chalicelib.errors import InvalidEventError
from chalicelib.text import quoted

#: Personalises the digest.  Part of every key ever written.
VERSION = b"lifecycle-v1"

#: JSON nested deeper than this is an invalid event.  Fixed here so that a record is judged alike on
#: every Python version and at every stack depth (interpreters stop between about 900 and 10,000).
MAX_DEPTH = 512

_FIELDS = frozenset({"serial", "type", "occurred_at", "event_id", "source", "metadata"})
SERIAL_RULE = "1 to 128 of A-Z a-z 0-9 . _ : -, a letter or digit first"
TYPE_RULE = "a lower-case letter, then up to 63 of a-z 0-9 _"

_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_POSITION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z#[0-9a-f]{32}")
# A string that never ends still matches: a pattern that could fail there would try again from every
# later quote, and a hostile record would take hours.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.?)*"?|[\[\]{}]', re.DOTALL)

_sorted = msgspec.json.Encoder(order="sorted").encode
_in_order = msgspec.json.Encoder().encode


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


class _Sent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An event as somebody sent it.  Numbers are `Raw`, or int where that is the same."""

    serial: str
    type: str
    occurred_at: str
    metadata: dict[str, Any]
    event_id: str | None = None
    source: str | None = None


class _Canonical(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The canonical form: its fields stand in code point order, as they are written."""

    event_id: str | None = None
    metadata: msgspec.Raw
    occurred_at: str
    offset_minutes: int
    serial: str
    source: str | None = None
    type: str


def decode(data: bytes) -> Event:
    """Return the event that `data` holds.

    Raises InvalidEventError with reason `not_utf8`, `not_json` or `invalid_event`.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidEventError("not_utf8", f"byte {exc.start} is not UTF-8: {exc.reason}") from exc
    _refuse_depth(text)
    try:
        event, length = _keyed(_read_quickly(text))
        if length == len(data):
            return event
    except (msgspec.DecodeError, RecursionError, InvalidEventError):
        pass  # the other way of reading says what is wrong, if anything is
    event, _ = _keyed(_read_thoroughly(text))
    return event


def _keyed(sent: _Sent) -> tuple[Event, int]:
    """The event, and how long it is as it was sent but without anything that canonical form changes."""
    if _SERIAL.fullmatch(sent.serial) is None:
        raise _invalid(f"`serial`: expected {SERIAL_RULE}, got {quoted(sent.serial)}")
    if _TYPE.fullmatch(sent.type) is None:
        raise _invalid(f"`type`: expected {TYPE_RULE}, got {quoted(sent.type)}")
    try:
        occurred = instants.parse(sent.occurred_at)
    except ValueError as exc:
        raise _invalid(f"`occurred_at`: {exc}") from exc
    if sent.event_id is not None and not 1 <= len(sent.event_id) <= 128:
        raise _invalid(f"`event_id`: expected 1 to 128 characters, got {len(sent.event_id)}")
    if sent.source is not None and not 1 <= len(sent.source) <= 128:
        raise _invalid(f"`source`: expected 1 to 128 characters, got {len(sent.source)}")
    try:
        metadata = _sorted(sent.metadata)
        canonical = _in_order(
            _Canonical(
                event_id=sent.event_id,
                metadata=msgspec.Raw(metadata),
                occurred_at=occurred.utc,
                offset_minutes=occurred.offset_minutes,
                serial=sent.serial,
                source=sent.source,
                type=sent.type,
            )
        )
    except UnicodeEncodeError as exc:
        raise _invalid("a string holds half of a surrogate pair, which UTF-8 cannot carry") from exc
    event = Event(
        serial=sent.serial,
        type=sent.type,
        occurred_at=occurred.local,
        event_id=sent.event_id,
        source=sent.source,
        metadata=metadata.decode(),
        position=f"{occurred.prefix}#{blake2b(canonical, digest_size=16, person=VERSION).hexdigest()}",
    )
    added = len(occurred.utc) + len(f',"offset_minutes":{occurred.offset_minutes}')
    return event, len(canonical) - added + len(sent.occurred_at)


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


_read_quickly = msgspec.json.Decoder(_Sent, float_hook=msgspec.Raw).decode


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise _invalid(f"nested more than {MAX_DEPTH} deep")


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


def _read_thoroughly(text: str) -> _Sent:
    try:
        fields = strict_json.decode(text)
    except strict_json.RepeatedKeyError as exc:
        raise _invalid(str(exc)) from exc
    except strict_json.ConstantError as exc:
        raise InvalidEventError("not_json", str(exc)) from exc
    except json.JSONDecodeError as exc:
        if text.startswith("\ufeff"):
            raise InvalidEventError("not_json", "begins with a byte order mark, which is not JSON") from exc
        raise InvalidEventError(
            "not_json", f"not JSON at line {exc.lineno} column {exc.colno}: {exc.msg}"
        ) from exc
    if type(fields) is not dict:
        raise _invalid(f"an event is a JSON object, got {_kind(fields)}")
    if not fields.keys() <= _FIELDS:
        raise _invalid(f"{quoted(min(fields.keys() - _FIELDS))}: no such field in an event")
    for name in ("serial", "type", "occurred_at"):
        if type(fields.get(name)) is not str:
            raise _invalid(f"`{name}`: {_absent_or(fields.get(name))}")
    given = {"metadata": {}, **{name: value for name, value in fields.items() if value is not None}}
    for name in ("event_id", "source"):
        if type(given.get(name, "")) is not str:
            raise _invalid(f"`{name}`: expected a string, got {_kind(given[name])}")
    if type(given["metadata"]) is not dict:
        raise _invalid(f"`metadata`: expected a JSON object, got {_kind(given['metadata'])}")
    return _Sent(**given)


def _invalid(sentence: str) -> InvalidEventError:
    return InvalidEventError("invalid_event", sentence)


def _absent_or(value: object) -> str:
    return "required, but absent" if value is None else f"expected a string, got {_kind(value)}"


def _kind(value: object) -> str:
    """What a JSON value is, in JSON's words."""
    names = {str: "a string", bool: "a boolean", dict: "an object", list: "an array", msgspec.Raw: "a number"}
    return names.get(type(value), "null")
