"""Writes any text in the alphabet of serial numbers, and reads it back.

A character that a serial number may not hold becomes `_` and two hexadecimal digits for each byte of its
UTF-8; an underscore itself becomes `_5F`.  Different texts therefore stay different.
"""

import re

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9.:-]")
_NOT_PLAIN_IN_A_PART = re.compile(r"[^A-Za-z0-9.-]")
_ESCAPED = re.compile(rb"_([0-9A-F]{2})")


def escaped(text: str) -> str:
    """Escape what a serial number may not hold."""
    return _NOT_PLAIN.sub(_bytes, text)


def escaped_part(text: str) -> str:
    """Escape a colon too: for a part of a serial number whose parts are joined by colons."""
    return _NOT_PLAIN_IN_A_PART.sub(_bytes, text)


def unescaped(text: str) -> str:
    """Undo `escaped` and `escaped_part`; what is not UTF-8 comes back as U+FFFD."""
    plain = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text.encode(errors="surrogatepass"))
    return plain.decode(errors="replace")


def _bytes(match: re.Match[str]) -> str:
    return "".join(f"_{byte:02X}" for byte in match[0].encode(errors="surrogatepass"))
