"""The GS1 keys that name one thing, and its serial number: the same one for every spelling of the key.

The three syntaxes (epc_urn.py, digital_link.py, element_string.py) are read into application identifiers
and their values; here these become the serial number, which is the path of the canonical Digital Link
with colons for slashes::

    SGTIN   gs1:01:10614141073464:21:S77        SSCC    gs1:00:106141412345678908
    ITIP    gs1:8006:040123451234560102:21:987  GRAI    gs1:8003:04012345555554987
    CPI     gs1:8010:0614141123ABC:8011:123     GIAI    gs1:8004:400000112345

What else a spelling says (lot, variant, dates, domain) is about the thing and not its name.  Lengths and
character sets are those of the GS1 General Specifications; no serial number is longer than 110 characters.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from chalicelib.epcis.escapes import escaped_part
from chalicelib.text import quoted

#: What the serial number of a GS1 key begins with.
PREFIX = "gs1:"

#: GS1's "AI encodable character set 82".
_ANY = r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]"

# A company's prefix and what the company makes of the rest.
_PREFIXED, _PREFIXED_RULE = rf"[0-9]{{4}}{_ANY}{{1,26}}", "4 digits and 1 to 26 characters"


class Key(NamedTuple):
    """A GS1 key: the shape of its value, and where the serial number of one thing stands.

    `check` is the place of the check digit, counted from 1, or 0.  A value shorter than `instance`
    characters names a class; so does one without any of `serials`, when `needs_serial`.
    """

    name: str
    rule: str
    value: str
    check: int = 0
    instance: int = 1
    serials: tuple[str, ...] = ()
    needs_serial: bool = False


#: By application identifier.
KEYS = {
    "00": Key("SSCC", "18 digits", r"[0-9]{18}", check=18),
    "01": Key("GTIN", "8, 12, 13 or 14 digits", r"[0-9]{14}", 14, 1, ("21", "235"), needs_serial=True),
    "253": Key("GDTI", "13 digits and up to 17 characters", rf"[0-9]{{13}}{_ANY}{{0,17}}", 13, instance=14),
    "255": Key("GCN", "13 digits and up to 12 more", r"[0-9]{13,25}", 13, instance=14),
    "401": Key("GINC", _PREFIXED_RULE, _PREFIXED),
    "402": Key("GSIN", "17 digits", r"[0-9]{17}", check=17),
    "414": Key("GLN", "13 digits", r"[0-9]{13}", 13, serials=("254",)),
    "417": Key("GLN of a party", "13 digits", r"[0-9]{13}", check=13),
    "8003": Key("GRAI", "0, 13 digits and up to 16 characters", rf"0[0-9]{{13}}{_ANY}{{0,16}}", 14, 15),
    "8004": Key("GIAI", _PREFIXED_RULE, _PREFIXED),
    "8006": Key("ITIP", "18 digits", r"[0-9]{18}", 14, 1, ("21",), needs_serial=True),
    "8010": Key(
        *("CPID", "4 digits and 1 to 26 of A-Z 0-9 - / #", r"[0-9]{4}[#\-/0-9A-Z]{1,26}"),
        serials=("8011",),
        needs_serial=True,
    ),
    "8013": Key("GMN", _PREFIXED_RULE, _PREFIXED, instance=31),
    "8017": Key("GSRN of a provider", "18 digits", r"[0-9]{18}", check=18),
    "8018": Key("GSRN", "18 digits", r"[0-9]{18}", check=18),
}

#: Keys that often stand beside another one on a label and then say something about that thing.
_ATTRIBUTES_OF_OTHERS = frozenset(["401", "402", "414", "417"])

_SERIALS = {
    "21": ("1 to 20 characters", rf"{_ANY}{{1,20}}"),
    "235": ("1 to 28 characters", rf"{_ANY}{{1,28}}"),
    "254": ("1 to 20 characters", rf"{_ANY}{{1,20}}"),
    "8011": ("1 to 12 digits, no zero first", r"0|[1-9][0-9]{0,11}"),
}

_GTIN_LENGTHS = (8, 12, 13)


def serial_of(elements: Mapping[str, str]) -> str:
    """Return the serial number of the one thing that these elements name.

    `elements` maps application identifiers to values.  Raises ValueError when they name a class, several
    things or none, or when a value has the wrong shape or check digit.
    """
    keys = [ai for ai in elements if ai in KEYS]
    keys = [ai for ai in keys if ai not in _ATTRIBUTES_OF_OTHERS] or keys
    if not keys:
        raise ValueError("holds no GS1 key that names a thing")
    serials = {ai: _serial(ai, elements) for ai in keys}
    found = {ai: serial for ai, serial in serials.items() if serial is not None}
    if len(found) > 1:
        names = " and ".join(KEYS[ai].name for ai in found)
        raise ValueError(f"names {len(found)} things, {names}; expected one")
    for serial in found.values():
        return serial
    raise ValueError(f"names a class and has no serial: a {KEYS[keys[0]].name} without a serial number")


def check_digit(digits: str) -> str:
    """Return GS1's check digit of these digits, which it is written behind."""
    weighted = 3 * sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2]))
    return str(-weighted % 10)


def _serial(ai: str, elements: Mapping[str, str]) -> str | None:
    """The serial number that one of the keys makes, None when it names a class."""
    key, value = KEYS[ai], elements[ai]
    if ai == "01" and len(value) in _GTIN_LENGTHS:
        value = value.zfill(14)
    if not re.fullmatch(key.value, value):
        raise ValueError(f"{key.name}: expected {key.rule}, got {quoted(value)}")
    if key.check and value[key.check - 1] != (expected := check_digit(value[: key.check - 1])):
        raise ValueError(
            f"{key.name} {value[: key.check]}: the check digit is {value[key.check - 1]}, expected {expected}"
        )
    by = next((serial for serial in key.serials if serial in elements), None)
    if len(value) < key.instance or (key.needs_serial and by is None):
        return None
    parts = [ai, value]
    if by is not None:
        rule, pattern = _SERIALS[by]
        if not re.fullmatch(pattern, elements[by]):
            raise ValueError(f"serial number of the {key.name}: expected {rule}, got {quoted(elements[by])}")
        parts += [by, elements[by]]
    return PREFIX + ":".join(map(escaped_part, parts))
