"""Our reading of GS1's syntaxes against two libraries that read them: biip and epcpy.

Neither ships with the functions (docs/decisions/gs1-identifiers.md says why); where they err, the case is
left out here by name.
"""

import re
import sys
import warnings

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.epcis import digital_link, element_string, epc_urn, gs1_keys
from tests.support import gs1_items
from tests.support.gs1_items import Item

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # epcpy's patterns are no raw strings, which Python 3.12 mentions
    from epcpy.utils.common import ConvertException
    from epcpy.utils.parsers import epc_pure_identity_to_gs1_element_string

needs_biip = pytest.mark.skipif(sys.version_info < (3, 11), reason="biip needs Python 3.11")


def bracketed(elements: dict[str, str]) -> str:
    return "".join(f"({ai}){value}" for ai, value in elements.items())


@given(gs1_items.items())
def test_epcpy_reads_a_urn_as_we_do(item: Item) -> None:
    assume(item.urn.count(":") == 4)  # epcpy drops what stands behind a colon in an asset's reference
    elements = epc_urn.read(item.urn)

    assert elements is not None
    try:
        theirs = epc_pure_identity_to_gs1_element_string(item.urn)
    except (ConvertException, ValueError):
        assert "%" in item.urn, "epcpy takes escaped characters for three, or cannot read them"
        return
    assert bracketed(elements) == theirs.replace("%23", "#"), "epcpy leaves a number sign escaped"


@needs_biip
@given(gs1_items.items().flatmap(lambda item: st.tuples(st.just(item), gs1_items.element_strings(item))))
def test_biip_reads_an_element_string_as_we_do(spelled: tuple[Item, str]) -> None:
    from biip.gs1_messages import GS1Message

    _, text = spelled
    if text.startswith("("):
        if "\\(" in text:
            return  # biip ends a value at any parenthesis and drops the rest
        message = GS1Message.parse_hri(text)
    else:
        text = re.sub(r"^\][A-Za-z]\d", "", text)
        message = GS1Message.parse(text)

    theirs = {element.ai.ai: element.value for element in message.element_strings}

    assert element_string.read(text) == theirs
    assert all(
        element.gtin_error is None and element.sscc_error is None for element in message.element_strings
    )


@needs_biip
@given(gs1_items.items())
def test_biip_reads_the_canonical_digital_link_as_we_do(item: Item) -> None:
    from biip.gs1_digital_link_uris import GS1DigitalLinkURI

    link = digital_link.write(*(part for pair in item.elements for part in pair))

    theirs = {element.ai.ai: element.value for element in GS1DigitalLinkURI.parse(link).element_strings}

    assert digital_link.read(link) == theirs


@needs_biip
@given(st.text(gs1_items.DIGITS, min_size=1, max_size=18))
def test_biip_computes_the_same_check_digit(digits: str) -> None:
    from biip.checksums import gs1_standard_check_digit

    assert gs1_keys.check_digit(digits) == str(gs1_standard_check_digit(digits))
