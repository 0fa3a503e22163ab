"""Serial numbers and EPCs: each becomes the other.

    urn:epc:id:sgtin:0614141.107346.S77                        gs1:01:10614141073464:21:S77
    https://brand.example/01/10614141073464/10/L1/21/S77?17=…  gs1:01:10614141073464:21:S77
    (01)10614141073464(21)S77                                  gs1:01:10614141073464:21:S77
    any other URI, https://example.org/a%2Fb                   https:_2F_2Fexample.org_2Fa_252Fb
    urn:x-lifecycle:serial:SN-4F7K2M9Q                         SN-4F7K2M9Q

Serial numbers are keys and permanent: what this module once made of an EPC it has to make of it for ever.
Earlier it made each spelling a serial number of its own; `earlier_serials` still knows them, so that what
is stored under one is found.
"""

import re
from collections.abc import Iterator

from chalicelib.domain import events
from chalicelib.epcis import digital_link, element_string, epc_urn, gs1_keys
from chalicelib.epcis.escapes import escaped, unescaped
from chalicelib.epcis.vocabulary import NAMESPACE
from chalicelib.text import quoted

#: The longest text that is looked at.  A web address with a long query may still be a Digital Link.
MAX_CHARACTERS = 2048

_OURS = NAMESPACE + "serial:"

# RFC 3986, without address literals in brackets: a scheme, perhaps an authority, and the rest.
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:"
    r"(?://(?:[A-Za-z0-9._~-]+(?::[0-9]{1,5})?)?(?=[/?#]|$)|(?!//))"
    rf"(?:{_CHARACTER}|/)*(?:\?(?:{_CHARACTER}|[/?])*)?(?:#(?:{_CHARACTER}|[/?])*)?"
)

# ISO/IEC 15424: what a scanner may send before the data.  These say that GS1 element strings follow.
_SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_GS1_SYMBOLOGIES = frozenset(["]C1", "]J1", "]Q3", "]d2", "]e0"])


def is_uri(text: object) -> bool:
    """Whether this is an absolute URI, as far as its characters go."""
    return isinstance(text, str) and _URI.fullmatch(text) is not None


def serial_of(epc: str) -> str:
    """Return the serial number of an EPC: an EPC URN, a GS1 Digital Link, an element string or another URI.

    Raises ValueError with a sentence for what names a class, is none of these, or becomes too long.
    """
    if len(epc) > MAX_CHARACTERS:
        raise ValueError(f"an EPC has at most {MAX_CHARACTERS:,} characters, got {len(epc):,}")
    if epc.startswith(_OURS) and events.is_serial(epc.removeprefix(_OURS)):
        return epc.removeprefix(_OURS)
    try:
        elements = _elements(epc)
        if elements is not None:
            return gs1_keys.serial_of(elements)
    except ValueError as exc:
        raise ValueError(f"{quoted(epc)}: {exc}") from exc
    if not is_uri(epc):
        raise ValueError(f"not an EPC: {quoted(epc)}")
    serial = escaped(epc)
    if serial.startswith(gs1_keys.PREFIX):
        raise ValueError(f"no such URI scheme: {quoted(epc)}")
    if not events.is_serial(serial):
        raise ValueError(f"{quoted(epc)} makes a serial number of {len(serial)} characters, over 128")
    return serial


def serial_of_scan(text: str) -> str | None:
    """Return the serial number of an element string that nothing marks as one, None for other texts."""
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        return gs1_keys.serial_of(element_string.read(text))
    except ValueError:
        return None


def epc_of(serial: str) -> str:
    """Return the EPC that a serial number is or stands for, `serial_of` of which is the serial number."""
    if serial.startswith(gs1_keys.PREFIX):
        parts = serial.removeprefix(gs1_keys.PREFIX).split(":")
        epc = digital_link.write(*map(unescaped, parts))
    else:
        epc = unescaped(serial)
    try:
        return epc if serial_of(epc) == serial else _OURS + serial
    except ValueError:
        return _OURS + serial


def plain_epc(serial: str) -> str:
    """Return the EPC that a serial number goes out as where no spelling of it was kept.

    For a serial number that was made of a spelling once, that spelling: `has_serial` holds for it.
    """
    epc = epc_of(serial)
    return epc if not epc.startswith(_OURS) else _earlier_epc(serial) or epc


def is_earlier_serial(serial: str) -> bool:
    """Whether an EPC once had this serial number and has another one now."""
    return serial_of(plain_epc(serial)) != serial


def has_serial(epc: str, serial: str) -> bool:
    """Whether this serial number is the EPC's, or once was and is no other EPC's now."""
    if len(epc) > MAX_CHARACTERS:
        return False
    if earlier_serial(epc) == serial and plain_epc(serial) == epc:
        return True
    try:
        return serial_of(epc) == serial
    except ValueError:
        return False


def earlier_serial(epc: str) -> str:
    """Return the serial number that was made of this spelling before spellings were told from things."""
    path = epc.removeprefix(digital_link.RESOLVER)
    if path != epc and ":" not in path:
        return gs1_keys.PREFIX + escaped(path.replace("/", ":"))
    return escaped(epc)


def earlier_serials(serial: str) -> Iterator[str]:
    """Yield the serial numbers that spellings of a GS1 key once had, given its serial number now."""
    if not serial.startswith(gs1_keys.PREFIX):
        return
    link = epc_of(serial)
    elements = digital_link.read(link)
    if elements is None:
        return
    for epc in (link, *epc_urn.spellings(elements)):
        earlier = earlier_serial(epc)
        if earlier != serial and events.is_serial(earlier):
            yield earlier


def _earlier_epc(serial: str) -> str | None:
    """The EPC that this serial number was once made of, None when there is none."""
    if serial.startswith(gs1_keys.PREFIX):
        epc = digital_link.RESOLVER + unescaped(serial.removeprefix(gs1_keys.PREFIX).replace(":", "/"))
    else:
        epc = unescaped(serial)
    try:
        serial_of(epc)
    except ValueError:
        return None
    return epc if earlier_serial(epc) == serial else None


def _elements(epc: str) -> dict[str, str] | None:
    """What an EPC says by application identifier, None when it holds no GS1 key."""
    if symbology := _SYMBOLOGY.match(epc):
        epc = epc[symbology.end() :]
        if symbology[0] in _GS1_SYMBOLOGIES:
            return element_string.read(epc)
    if epc.startswith(("(", element_string.SEPARATOR)) or (element_string.SEPARATOR in epc):
        return element_string.read(epc)
    scheme = epc.partition(":")[0].lower()
    if scheme == "urn":
        return epc_urn.read(epc) if is_uri(epc) else None
    if scheme in ("http", "https"):
        return digital_link.read(epc)
    if symbology:
        raise ValueError(f"the symbology identifier {symbology[0]} stands before no GS1 key")
    return None
