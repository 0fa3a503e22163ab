"""GS1 Digital Links: web addresses that name a GS1 key, on any domain, below any path.

    https://id.gs1.org/01/10614141073464/21/S77
    https://brand.example/de/gtin/10614141073464/lot/LOT1/ser/S77?17=290101

Only the path is read: GS1 Digital Link has identity there and nowhere else.
"""

import re
from urllib.parse import quote, unquote

from chalicelib.epcis.element_string import is_application_identifier
from chalicelib.epcis.gs1_keys import KEYS
from chalicelib.text import quoted

#: GS1's own resolver, whose addresses are the canonical ones.
RESOLVER = "https://id.gs1.org/"

# The words that GS1 Digital Link URI Syntax 1.1 has for application identifiers.
_WORDS = {
    "sscc": "00",
    "gtin": "01",
    "gdti": "253",
    "gcn": "255",
    "ginc": "401",
    "gsin": "402",
    "gln": "414",
    "grai": "8003",
    "giai": "8004",
    "itip": "8006",
    "cpid": "8010",
    "gmn": "8013",
    "gsrnp": "8017",
    "gsrn": "8018",
    "lot": "10",
    "exp": "17",
    "ser": "21",
    "cpv": "22",
    "tpx": "235",
    "glnx": "254",
    "cpsn": "8011",
    "srin": "8019",
}
_PATH = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*)([^?#]*)")
_PREFIXED = re.compile(r"[0-9]{4}.")
_NOT_AN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_OF_GS1 = re.compile(r"(?:[^/?#@]*\.)?gs1\.org(?::[0-9]*)?", re.IGNORECASE)


def read(link: str) -> dict[str, str] | None:
    """Return the values in the path of a Digital Link by application identifier, None for other addresses.

    Raises ValueError for a Digital Link that cannot be read: compressed, or with a part that is unknown.
    """
    match = _PATH.match(link)
    if match is None:
        return None
    host, path = match.groups()
    names = path.rstrip("/").split("/")
    begin = next((at for at in range(len(names) - 1) if _is_key(names[at], names[at + 1])), None)
    if begin is None:
        if _OF_GS1.fullmatch(host):
            raise ValueError("names no GS1 key; a compressed Digital Link has to be written out")
        return None
    rest = names[begin:]
    if len(rest) % 2:
        raise ValueError(
            f"ends in {quoted(rest[-1])}, which belongs to no key; "
            "a compressed Digital Link has to be written out"
        )
    elements: dict[str, str] = {}
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        ai = _application_identifier(name)
        if ai is None or not value or _NOT_AN_ESCAPE.search(value):
            raise ValueError(f"holds {quoted(f'{name}/{value}')}, which says nothing about a GS1 key")
        if ai in elements or (elements and ai in KEYS):
            raise ValueError(f"holds ({ai}) behind ({next(iter(elements))}), where it does not belong")
        elements[ai] = unquote(value)
    return elements


def write(*parts: str) -> str:
    """Return the canonical Digital Link: an application identifier, its value, and so on."""
    return RESOLVER + "/".join(quote(part, safe="") for part in parts)


def _is_key(name: str, value: str) -> bool:
    """Whether a key begins here: its value has at least 4 digits, of a company's prefix, and then more."""
    return _application_identifier(name) in KEYS and _PREFIXED.match(unquote(value)) is not None


def _application_identifier(name: str) -> str | None:
    return name if is_application_identifier(name) else _WORDS.get(name.lower())
