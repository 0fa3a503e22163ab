"""Metadata as a page shows it: what is shown of it, and how much at most."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api import facts

_NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _NAMES | st.text('a\n"[{\\', max_size=1500),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(_NAMES, children, max_size=4),
    max_leaves=6,
)
_METADATA = st.dictionaries(_NAMES, _JSON, max_size=8) | st.dictionaries(
    _NAMES, st.integers(0, 9), min_size=30, max_size=60
)


def shown(metadata: dict[str, Any]) -> facts.Facts:
    return facts.facts(facts.members(json.dumps(metadata, ensure_ascii=False)))


def test_text_is_shown_as_it_is_and_everything_else_as_json() -> None:
    found = facts.facts(facts.members('{"a":1.10,"b":"x \\n y","c":[2.50,{"d":null}],"e":true}')).shown

    assert [(fact.name, fact.text, fact.is_json) for fact in found] == [
        ("a", "1.10", True),
        ("b", "x \n y", False),
        ("c", '[\n  2.50,\n  {\n    "d": null\n  }\n]', True),
        ("e", "true", True),
    ]
    assert not any(fact.is_cut for fact in found)


@given(_METADATA)
def test_what_is_shown_is_a_part_of_what_is_there_and_within_bounds(metadata: dict[str, Any]) -> None:
    found = shown(metadata)

    assert len(found.shown) + found.left == len(metadata)
    assert bool(found.shown) == bool(metadata)
    assert len(found.shown) <= facts.MAX_FACTS
    assert sum(len(fact.name) + len(fact.text) for fact in found.shown) <= facts.MAX_SHOWN
    for fact, (name, value) in zip(found.shown, metadata.items(), strict=False):
        assert len(fact.name) <= facts.MAX_NAME
        assert fact.name == name or name.startswith(fact.name[:-1])
        assert len(fact.text) <= facts.MAX_TEXT
        assert fact.text.count("\n") < facts.MAX_LINES
        if isinstance(value, str):
            assert value.startswith(fact.text)
            assert fact.is_cut == (value != fact.text)
        elif not fact.is_cut:
            assert json.loads(fact.text) == value


@given(_METADATA, st.booleans())
def test_the_essential_words_are_one_short_line(metadata: dict[str, Any], is_void: bool) -> None:
    gist = facts.gist(facts.members(json.dumps(metadata)), is_void)

    assert "\n" not in gist
    assert len(gist) <= facts.MAX_GIST * (facts.MAX_GIST_TEXT + facts.MAX_NAME + 1) + len(" · ")


@pytest.mark.parametrize(
    ("metadata", "gist"),
    [
        ({"author": "K.", "text": "It stays dark.", "zebra": "z"}, "It stays dark. · K."),
        ({"country": "DE", "dealer": "Ruhr", "odometer_km": 7}, "Ruhr · DE"),
        ({"approved": False, "odometer_km": 12900}, "approved false · odometer km 12900"),
        ({"nested": {"text": "no"}, "list": ["no"], "nothing": None, "empty": "  "}, ""),
        ({}, ""),
    ],
)
def test_the_most_telling_scalars_come_first(metadata: dict[str, Any], gist: str) -> None:
    assert facts.gist(facts.members(json.dumps(metadata)), is_void=False) == gist


def test_a_void_says_why_and_not_the_position_it_names() -> None:
    members = facts.members('{"position":"2026-01-01T00:00:00.000000Z#00","why":"entered twice"}')

    assert facts.gist(members, is_void=True) == "entered twice"
    assert facts.text_of(members, ("why", "reason"), 7) == "entere…"
    assert facts.text_of(members, ("reason",), 7) is None


HOSTILE = {
    "nested as deep as an event may be, over and over": '{"a":['
    + ",".join(["[" * 500 + "]" * 500] * 380)
    + "]}",
    "nested deeper than anything reads": '{"a":' + "[" * 190_000 + "]" * 190_000 + "}",
    "many small arrays": '{"a":[' + "[]," * 127_000 + "[]]}",
    "many members": "{" + ",".join(f'"{number}":1' for number in range(38_000)) + "}",
    "one long name": '{"' + "n" * 390_000 + '":1}',
    "one long text": '{"a":"' + "t" * 390_000 + '"}',
    "line feeds": '{"a":"' + "\\n" * 195_000 + '"}',
    "escapes": '{"a":"' + "\\u0000" * 65_000 + '"}',
    "one long number": '{"a":' + "1" * 390_000 + "}",
    "no object": "[]",
    "no JSON": "\\" * 390_000,
}


@pytest.mark.parametrize("metadata", HOSTILE.values(), ids=HOSTILE)
def test_no_metadata_costs_much_or_is_shown_at_length(metadata: str) -> None:
    started = time.process_time()
    members = facts.members(metadata)
    found = facts.facts(members)
    facts.gist(members, is_void=False)
    seconds = time.process_time() - started

    assert sum(len(fact.name) + len(fact.text) for fact in found.shown) <= facts.MAX_SHOWN
    assert found.shown
    assert seconds < 0.2, "some milliseconds for 390 KB; all that is kept of it is a screen"
