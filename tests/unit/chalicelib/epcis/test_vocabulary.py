"""EPCIS's words for our types, both ways."""

import pytest

from chalicelib.domain import lifecycle
from chalicelib.epcis import vocabulary


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
