"""Things with GS1 keys, and the ways in which partners spell one: strategies for Hypothesis.

Written without the code under test: the check digit, the fields of a URN and the order of an element
string stand here once more, in the plainest form.
"""

from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import strategies as st

#: GS1's "AI encodable character set 82".
ANY = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
SEPARATOR = "\x1d"

WORDS = {
    "00": "sscc",
    "01": "gtin",
    "253": "gdti",
    "255": "gcn",
    "8003": "grai",
    "8004": "giai",
    "8006": "itip",
    "8010": "cpid",
    "8017": "gsrnp",
    "8018": "gsrn",
    "401": "ginc",
    "402": "gsin",
    "21": "ser",
    "8011": "cpsn",
    "235": "tpx",
    "10": "lot",
    "22": "cpv",
}

_PREDEFINED = ("00", "01")  # no separator behind these


@dataclass(frozen=True)
class Item:
    """One thing: its elements in the order of its identity, and its EPC URN."""

    elements: tuple[tuple[str, str], ...]
    urn: str


def check_digit(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += int(digit) * (3 if place % 2 == 0 else 1)
    return str((10 - total % 10) % 10)


def component(text: str) -> str:
    return "".join(f"%{ord(c):02X}" if c in '"%&/<>?#' else c for c in text)


def digits(length: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=length, max_size=length)


def characters(most: int, alphabet: str = ANY) -> st.SearchStrategy[str]:
    # Few different ones, so that two things are often nearly the same.
    return st.text(alphabet, min_size=1, max_size=most) | st.text("A_2F%(:/", min_size=1, max_size=3).filter(
        lambda text: set(text) <= set(alphabet)
    )


@st.composite
def items(draw: st.DrawFn) -> Item:
    scheme = draw(
        st.sampled_from(
            "sgtin sscc grai giai gsrn gsrnp gdti sgcn cpi itip upui ginc gsin".split()  # noqa: SIM905
        )
    )
    prefix = draw(st.integers(6, 12).flatmap(digits))
    if scheme in ("giai", "ginc"):
        reference = draw(characters(30 - len(prefix)))
        ai = "8004" if scheme == "giai" else "401"
        return Item(((ai, prefix + reference),), f"urn:epc:id:{scheme}:{prefix}.{component(reference)}")
    if scheme == "cpi":
        reference = draw(st.text("AZ09-/#", min_size=1, max_size=30 - len(prefix)))
        serial = str(draw(st.integers(0, 10**12 - 1)))
        return Item(
            (("8010", prefix + reference), ("8011", serial)),
            f"urn:epc:id:cpi:{prefix}.{component(reference)}.{serial}",
        )
    length = {"sscc": 17, "gsrn": 17, "gsrnp": 17, "gsin": 16, "grai": 12, "gdti": 12, "sgcn": 12}.get(
        scheme, 13
    )
    reference = draw(digits(length - len(prefix)))
    urn = f"urn:epc:id:{scheme}:{prefix}.{reference}"
    if scheme in ("sgtin", "upui", "itip", "sscc"):
        key = reference[0] + prefix + reference[1:]
    else:
        key = prefix + reference
    key += check_digit(key)
    if scheme in ("sgtin", "upui"):
        serial = draw(characters(20 if scheme == "sgtin" else 28))
        ai = "21" if scheme == "sgtin" else "235"
        return Item((("01", key), (ai, serial)), f"{urn}.{component(serial)}")
    if scheme == "itip":
        piece, total, serial = draw(digits(2)), draw(digits(2)), draw(characters(20))
        return Item(
            (("8006", key + piece + total), ("21", serial)), f"{urn}.{piece}.{total}.{component(serial)}"
        )
    if scheme in ("grai", "gdti", "sgcn"):
        most, ai = {"grai": (16, "8003"), "gdti": (17, "253"), "sgcn": (12, "255")}[scheme]
        serial = draw(characters(most, DIGITS if scheme == "sgcn" else ANY))
        zero = "0" if scheme == "grai" else ""
        return Item(((ai, zero + key + serial),), f"{urn}.{component(serial)}")
    return Item((({"sscc": "00", "gsrn": "8018", "gsrnp": "8017", "gsin": "402"}[scheme], key),), urn)


@st.composite
def digital_links(draw: st.DrawFn, item: Item) -> str:
    """One of the Digital Links of a thing: any domain and path, words or numbers, lot and query."""
    (ai, value), *serials = item.elements
    if ai == "01" and draw(st.booleans()):
        for shorter in (8, 12, 13):
            if value.startswith("0" * (14 - shorter)):
                value = value[14 - shorter :]
                break
    pairs = [(ai, value)]
    if ai in ("01", "8006"):
        pairs += draw(st.sampled_from([[], [("10", "LOT-1")], [("22", "V"), ("10", "21")]]))
    pairs += serials
    name = draw(st.sampled_from([lambda ai: ai, WORDS.__getitem__, lambda ai: WORDS[ai].upper()]))
    safe = draw(st.sampled_from(["", "!&'()*+,:;="]))
    path = "/".join(f"{name(ai)}/{quote(value, safe=safe)}" for ai, value in pairs)
    begin = draw(
        st.sampled_from(["https://id.gs1.org/", "http://brand.example:8080/", "HTTPS://b.example/de/x/01/"])
    )
    end = draw(st.sampled_from(["", "/", "?17=290101&21=OTHER", "#21", "?s=/01/10614141073464/21/S77"]))
    return begin + path + end


@st.composite
def element_strings(draw: st.DrawFn, item: Item) -> str:
    """One of the element strings of a thing: bracketed or as scanned, with attributes before and behind."""
    elements = list(item.elements)
    if item.elements[0][0] == "01":
        elements[1:1] = draw(
            st.sampled_from([[], [("17", "290101")], [("10", "A)10(21"), ("3103", "000195")]])
        )
    elements += draw(st.sampled_from([[], [("37", "25")], [("410", "0614141123452"), ("90", "x")]]))
    if draw(st.booleans()):
        gap = draw(st.sampled_from(["", " "]))
        return gap.join(f"({ai}){gap}" + value.replace("(", "\\(") for ai, value in elements)
    text = draw(st.sampled_from(["]C1", "]d2", "]Q3", "]e0", "]J1", SEPARATOR]))
    for ai, value in elements:
        text += ai + value + ("" if ai in (*_PREDEFINED, "17", "3103", "410") else SEPARATOR)
    return text if draw(st.booleans()) else text.rstrip(SEPARATOR)


@st.composite
def spellings(draw: st.DrawFn, item: Item) -> str:
    """One of all the ways in which a partner may spell a thing."""
    return draw(
        st.sampled_from([item.urn, item.urn.replace("urn:epc:id:", "URN:EPC:ID:")])
        | digital_links(item)
        | element_strings(item)
    )
