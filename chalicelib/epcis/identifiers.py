"""Serial numbers and EPCs: each becomes the other, and itself again.

    https://id.gs1.org/01/70614141123451/21/2017   gs1:01:70614141123451:21:2017
    urn:epc:id:sgtin:0614141.107346.2017           urn:epc:id:sgtin:0614141.107346.2017
    any other URI, https://example.org/a%2Fb       https:_2F_2Fexample.org_2Fa_252Fb
    urn:x-lifecycle:serial:SN-4F7K2M9Q             SN-4F7K2M9Q

What a serial number may not hold is written `_` and two hexadecimal digits, byte by byte of its UTF-8; an
underscore itself is `_5F`.  In `gs1:`, which stands for GS1's own resolver, slashes are colons.
"""

import re

from chalicelib.domain import events
from chalicelib.epcis.vocabulary import NAMESPACE

_OURS = NAMESPACE + "serial:"
_RESOLVER, _RESOLVED = "https://id.gs1.org/", "gs1:"

# RFC 3986, without address literals in brackets: a scheme, perhaps an authority, and the rest.
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:"
    r"(?://(?:[A-Za-z0-9._~-]+(?::[0-9]{1,5})?)?(?=[/?#]|$)|(?!//))"
    rf"(?:{_CHARACTER}|/)*(?:\?(?:{_CHARACTER}|[/?])*)?(?:#(?:{_CHARACTER}|[/?])*)?"
)
_PLAIN = re.compile(r"[A-Za-z0-9.:-]")
_ESCAPED = re.compile(rb"_([0-9A-F]{2})")

# Application identifiers of a class and of what makes one instance of it (GS1 Digital Link URI Syntax).
_CLASS_LINK = re.compile(r"https?://[^?#]*/(?:01|8006)/[0-9]+(?!.*/21/)")
_CLASS_URN = ("urn:epc:class:", "urn:epc:idpat:")


def is_uri(text: object) -> bool:
    """Whether this is an absolute URI, as far as its characters go."""
    return isinstance(text, str) and _URI.fullmatch(text) is not None


def is_class_level(epc: str) -> bool:
    """Whether this names a kind of thing and not a thing."""
    return epc.startswith(_CLASS_URN) or _CLASS_LINK.match(epc) is not None


def serial_of(epc: str) -> str:
    """The serial number of an EPC.  Raises ValueError for what is no URI or becomes too long."""
    if not is_uri(epc):
        raise ValueError(f"not an EPC: {epc[:60]!a}")
    if epc.startswith(_OURS) and events.is_serial(epc.removeprefix(_OURS)):
        return epc.removeprefix(_OURS)
    path = epc.removeprefix(_RESOLVER)
    if path != epc and ":" not in path:
        serial = _RESOLVED + _escaped(path.replace("/", ":"))
    else:
        serial = _escaped(epc)
        if serial.startswith(_RESOLVED):
            raise ValueError(f"no such URI scheme: {epc[:60]!a}")
    if not events.is_serial(serial):
        raise ValueError(f"{epc[:60]!a} makes a serial number of {len(serial)} characters, over 128")
    return serial


def epc_of(serial: str) -> str:
    """The EPC that a serial number is or stands for."""
    if serial.startswith(_RESOLVED):
        epc = _RESOLVER + _unescaped(serial.removeprefix(_RESOLVED).replace(":", "/"))
    else:
        epc = _unescaped(serial)
    try:
        if serial_of(epc) == serial:
            return epc
    except ValueError:
        pass  # no URI in disguise, but somebody's own numbering
    return _OURS + serial


def _escaped(text: str) -> str:
    return "".join(
        character
        if _PLAIN.fullmatch(character)
        else "".join(f"_{byte:02X}" for byte in character.encode(errors="surrogatepass"))
        for character in text
    )


def _unescaped(text: str) -> str:
    plain = _ESCAPED.sub(lambda match: bytes([int(match.group(1), 16)]), text.encode())
    return plain.decode(errors="replace")
