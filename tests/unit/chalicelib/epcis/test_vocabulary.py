"""EPCIS's words for our types, and its identifiers for our serial numbers, both ways."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain import lifecycle
from chalicelib.epcis import identifiers, vocabulary


@pytest.mark.parametrize("type_", lifecycle.KINDS)
def test_the_table_covers_every_known_type_both_ways(type_: str) -> None:
    meaning = vocabulary.MEANINGS[type_]
    event = {"type": "ObjectEvent", "action": meaning.action}
    if meaning.biz_step is not None:
        event["bizStep"] = meaning.biz_step
    if meaning.disposition is not None:
        event["disposition"] = meaning.disposition

    assert vocabulary.type_of(event, is_input=False) == type_
    assert vocabulary.meaning_of(type_) == meaning


def test_the_table_knows_no_type_that_the_lifecycle_does_not() -> None:
    assert set(vocabulary.MEANINGS) == set(lifecycle.KINDS)
    assert len(set(vocabulary.MEANINGS.values())) == len(vocabulary.MEANINGS)


@pytest.mark.parametrize(
    ("step", "disposition", "type_"),
    [
        ("receiving", "in_progress", "inventory"),
        ("urn:epcglobal:cbv:bizstep:storing", None, "inventory"),
        ("https://ns.gs1.org/cbv/BizStep-repairing", "damaged", "service"),
        ("shipping", "in_transit", "shipping"),
        ("http://epcis.example.org/hc/bizstep/summarising_discharge", None, "summarising_discharge"),
        ("https://example.org/Schritt%20Eins", None, "schritt_20eins"),
        ("https://example.org/42", None, "object_event"),
        (None, "stolen", "theft"),
        (None, None, "object_event"),
    ],
)
def test_what_others_call_a_step(step: str | None, disposition: str | None, type_: str) -> None:
    event = {"type": "ObjectEvent", "action": "OBSERVE", "bizStep": step, "disposition": disposition}

    assert vocabulary.type_of(event, is_input=False) == type_


@pytest.mark.parametrize(
    ("epc", "serial"),
    [
        ("https://id.gs1.org/01/70614141123451/21/2017", "gs1:01:70614141123451:21:2017"),
        ("https://id.gs1.org/01/0614141/21/A%2FB", "gs1:01:0614141:21:A_252FB"),
        ("https://id.gs1.org/01/0614141/21/a:b", "https:_2F_2Fid.gs1.org_2F01_2F0614141_2F21_2Fa:b"),
        ("https://example.org/01/0614141/21/1_2", "https:_2F_2Fexample.org_2F01_2F0614141_2F21_2F1_5F2"),
        ("urn:epc:id:sgtin:0614141.107346.2017", "urn:epc:id:sgtin:0614141.107346.2017"),
        ("urn:x-lifecycle:serial:SN-4F7K2M9Q", "SN-4F7K2M9Q"),
    ],
)
def test_an_epc_becomes_a_serial_and_itself_again(epc: str, serial: str) -> None:
    assert identifiers.serial_of(epc) == serial
    assert identifiers.epc_of(serial) == epc


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True))
@example("gs1:01:5F")
@example("urn:x-lifecycle:serial:A")
@example("https:_2F_2Fexample.org")
@example("a:_FF")
def test_every_serial_becomes_an_epc_and_itself_again(serial: str) -> None:
    epc = identifiers.epc_of(serial)

    assert identifiers.is_uri(epc)
    assert identifiers.serial_of(epc) == serial


@given(
    st.builds(
        str.__add__,
        st.sampled_from(
            ["https://id.gs1.org/", "https://id.gs1.org:", "urn:", "gs1:", "urn:x-lifecycle:serial:"]
        ),
        st.text("/:_%25FAé.~ ", max_size=20) | st.text(max_size=20),
    )
)
def test_no_two_epcs_share_a_serial(epc: str) -> None:
    try:
        serial = identifiers.serial_of(epc)
    except ValueError:
        return
    assert identifiers.epc_of(serial) == epc
