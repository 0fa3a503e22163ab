r"""GS1 element strings, as scanners send them and people read them below a barcode.

(01)10614141073464(10)LOT1(21)S77         a parenthesis in a value is written \(
]C1011061414107346410LOT1<GS>21S77        with or without symbology identifier and FNC1 in front
"""

import re

from chalicelib.text import quoted

#: The group separator, which stands for FNC1 behind a value of variable length.
SEPARATOR = "\x1d"

# GS1 General Specifications: the length of an application identifier follows from its first two digits,
# and so does the length of the whole element where no separator is needed.
_AI_LENGTHS = {
    first: length
    for length, firsts in {
        2: "00 01 02 03 10 11 12 13 15 16 17 20 21 22 30 37 90 91 92 93 94 95 96 97 98 99",
        3: "23 24 25 40 41 42 71",
        4: "31 32 33 34 35 36 39 43 70 72 80 81 82",
    }.items()
    for first in firsts.split()
}
_ELEMENT_LENGTHS = {
    first: length
    for length, firsts in {
        4: "20",
        8: "11 12 13 15 16 17",
        10: "31 32 33 34 35 36",
        16: "01 02 03 41",
        20: "00",
    }.items()
    for first in firsts.split()
}

_BRACKETED = re.compile(r"\(([0-9]{2,4})\)((?:[^(\\]|\\[(\\])+)")
_BACKSLASHED = re.compile(r"\\(.)")


def read(text: str) -> dict[str, str]:
    """Return the values of an element string by application identifier.  Raises ValueError."""
    return _bracketed(text.replace(" ", "")) if text.startswith("(") else _concatenated(text)


def is_application_identifier(text: str) -> bool:
    """Whether there is such an application identifier, as far as its length goes."""
    return text.isascii() and text.isdigit() and _AI_LENGTHS.get(text[:2]) == len(text)


def _bracketed(text: str) -> dict[str, str]:
    elements: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _BRACKETED.match(text, at)
        if match is None:
            raise ValueError(f"expected (application identifier) and a value at {quoted(text[at:])}")
        _add(elements, match[1], _BACKSLASHED.sub(r"\1", match[2]))
        at = match.end()
    return elements


def _concatenated(text: str) -> dict[str, str]:
    elements: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] == SEPARATOR:
            at += 1
            continue
        first = text[at : at + 2]
        begin = at + _AI_LENGTHS.get(first, 2)
        if first in _ELEMENT_LENGTHS:
            end = at + _ELEMENT_LENGTHS[first]
            if SEPARATOR in text[at:end] or end > len(text):
                raise ValueError(f"({text[at:begin]}) is cut off: {quoted(text[at:end])}")
        else:
            end = text.find(SEPARATOR, at)
            end = len(text) if end < 0 else end
        _add(elements, text[at:begin], text[begin:end])
        at = end
    return elements


def _add(elements: dict[str, str], ai: str, value: str) -> None:
    if not is_application_identifier(ai):
        raise ValueError(f"no such application identifier: {quoted(ai)}")
    if not value:
        raise ValueError(f"({ai}) has no value")
    if elements.setdefault(ai, value) != value:
        raise ValueError(f"({ai}) stands there twice, with different values")
