"""EPC URNs: `urn:epc:id:sgtin:0614141.107346.S77`, as GS1's EPC Tag Data Standard writes GS1 keys.

A URN shows where the company prefix ends and leaves the check digit out.  The other syntaxes do it the
other way round, so a key has one URN for each length that the prefix may have.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from chalicelib.epcis.gs1_keys import check_digit
from chalicelib.text import quoted

_INSTANCE = "urn:epc:id:"
_CLASSES = ("urn:epc:class:", "urn:epc:idpat:", "urn:epc:pat:")
_TAGS = ("urn:epc:tag:", "urn:epc:raw:")

_PREFIX_LENGTHS = range(6, 13)
_DIGITS = re.compile(r"[0-9]*")
_COMPONENT = re.compile(r"(?:[A-Za-z0-9!'()*+,\-.:;=_]|%[0-9A-Fa-f]{2})+")

#: The extension that a location without extension is written with.
_NO_EXTENSION = "0"

#: What `quote` must not escape in a component (GS3A3Char of the EPC Tag Data Standard).
_UNESCAPED = "!'()*+,-.:;=_"


class _Scheme(NamedTuple):
    """How a URN's fields become a key.

    Company prefix and reference have `digits` digits together and a check digit goes behind them; 0: the
    reference is text.  With `rotated` the reference's first digit comes before the prefix.  `serial` is
    the application identifier of the last field; "" when it belongs to the key's own value; None when
    there is none.
    """

    ai: str
    digits: int
    rotated: bool = False
    serial: str | None = None
    before: str = ""
    between: tuple[int, ...] = ()


_SCHEMES = {
    "sgtin": _Scheme("01", 13, rotated=True, serial="21"),
    "upui": _Scheme("01", 13, rotated=True, serial="235"),
    "itip": _Scheme("8006", 13, rotated=True, serial="21", between=(2, 2)),
    "sscc": _Scheme("00", 17, rotated=True),
    "grai": _Scheme("8003", 12, serial="", before="0"),
    "gdti": _Scheme("253", 12, serial=""),
    "sgcn": _Scheme("255", 12, serial=""),
    "sgln": _Scheme("414", 12, serial="254"),
    "pgln": _Scheme("417", 12),
    "gsrn": _Scheme("8018", 17),
    "gsrnp": _Scheme("8017", 17),
    "gsin": _Scheme("402", 16),
    "giai": _Scheme("8004", 0),
    "ginc": _Scheme("401", 0),
    "cpi": _Scheme("8010", 0, serial="8011"),
}


def read(urn: str) -> dict[str, str] | None:
    """Return a URN's key by application identifier, None for a URN that holds no GS1 key.

    Raises ValueError for a URN that names a class or a tag, or is not written as its scheme demands.
    """
    lower = urn.lower()
    if lower.startswith(_CLASSES):
        raise ValueError("names a class and has no serial")
    if lower.startswith(_TAGS):
        raise ValueError("is what a tag's memory holds; expected an EPC, urn:epc:id:…")
    name, _, body = urn[len(_INSTANCE) :].partition(":")
    scheme = _SCHEMES.get(name.lower()) if lower.startswith(_INSTANCE) else None
    if scheme is None:
        return None
    fields = body.split(".", _fields(scheme) - 1)
    if len(fields) != _fields(scheme):
        raise ValueError(f"expected {_fields(scheme)} parts with points between them, got {len(fields)}")
    return _elements(scheme, fields)


def spellings(elements: Mapping[str, str]) -> Iterator[str]:
    """Yield the URNs that a key may have: one for each length of the company prefix."""
    for name, scheme in _SCHEMES.items():
        value = elements.get(scheme.ai)
        serial = elements.get(scheme.serial or "", _NO_EXTENSION if scheme.ai == "414" else None)
        if value is None or (scheme.serial and serial is None):
            continue
        for length in _PREFIX_LENGTHS:
            fields = [_escaped(field) for field in _split(scheme, value, length)]
            if scheme.serial and serial is not None:
                fields.append(_escaped(serial))
            urn = f"{_INSTANCE}{name}:{'.'.join(fields)}"
            try:
                if read(urn) == elements:
                    yield urn
            except ValueError:
                pass  # a prefix of this length leaves no reference


def _fields(scheme: _Scheme) -> int:
    return 2 + len(scheme.between) + (scheme.serial is not None)


def _elements(scheme: _Scheme, fields: list[str]) -> dict[str, str]:
    prefix, reference, *rest = fields
    if not (len(prefix) in _PREFIX_LENGTHS and _DIGITS.fullmatch(prefix)):
        raise ValueError(f"company prefix: expected 6 to 12 digits, got {quoted(prefix)}")
    if not scheme.digits:
        value = prefix + _unescaped(reference)
    elif len(prefix) + len(reference) != scheme.digits or not _DIGITS.fullmatch(reference):
        expected = scheme.digits - len(prefix)
        raise ValueError(f"reference: expected {expected} digits, got {quoted(reference)}")
    else:
        first = 1 if scheme.rotated else 0
        value = scheme.before + reference[:first] + prefix + reference[first:]
        value += check_digit(value)
    for length, field in zip(scheme.between, rest, strict=False):
        if len(field) != length or not _DIGITS.fullmatch(field):
            raise ValueError(f"expected {length} digits, got {quoted(field)}")
        value += field
    serial = _unescaped(rest[-1]) if scheme.serial is not None else ""
    if scheme.serial == "":
        return {scheme.ai: value + serial}
    if scheme.serial is None or (scheme.ai == "414" and serial == _NO_EXTENSION):
        return {scheme.ai: value}
    return {scheme.ai: value, scheme.serial: serial}


def _split(scheme: _Scheme, value: str, length: int) -> Iterator[str]:
    """The fields of a key's value, were the company prefix so long; nonsense where it cannot be."""
    if not scheme.digits:
        yield from (value[:length], value[length:])
        return
    value = value.removeprefix(scheme.before)
    first = value[:1] if scheme.rotated else ""
    key, value = value[len(first) : scheme.digits], value[scheme.digits + 1 :]
    yield from (key[:length], first + key[length:])
    for width in scheme.between:
        yield value[:width]
        value = value[width:]
    if scheme.serial == "":
        yield value


def _unescaped(component: str) -> str:
    if not _COMPONENT.fullmatch(component):
        raise ValueError(
            f"expected characters as an EPC writes them, %2F for a slash, got {quoted(component)}"
        )
    return unquote(component)


def _escaped(text: str) -> str:
    return quote(text, safe=_UNESCAPED)
