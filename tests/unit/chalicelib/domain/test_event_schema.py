"""`event.schema.json` and `events.decode` judge alike, in both directions."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import events, instants
from chalicelib.errors import InvalidEventError
from cli.paths import ROOT

SCHEMA = json.loads((ROOT / "chalicelib" / "domain" / "event.schema.json").read_text())
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)

GOOD = {"serial": "SN-1", "type": "service", "occurred_at": "2026-11-20T21:12:47.123+01:00"}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=140)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
times = st.builds(
    "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}".format,
    st.integers(1897, 2203) | st.integers(0, 9999),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from("Tt "),
    st.integers(0, 25),
    st.integers(0, 60),
    st.integers(0, 61),
    st.sampled_from(["", ".5", ".000", ".123456789", ".", ",5"]),
    st.sampled_from(["Z", "z", "+00:00", "-23:59", "+23:59", "+24:00", "+01", "", "+0100"]),
)


def about(length: int) -> st.SearchStrategy[str]:
    """Texts one shorter and one longer than a limit, and on it."""
    return st.builds(lambda char, more: char * (length + more), st.sampled_from("a0Zé😀"), st.integers(-1, 1))


near = {
    "serial": st.from_regex(r"[A-Za-z0-9._:-]{0,9}\n?", fullmatch=True) | about(128) | text,
    "type": st.from_regex(r"[A-Za-z0-9_]{0,9}\n?", fullmatch=True) | about(64) | text,
    "occurred_at": times,
    "event_id": text | about(128) | about(1),
    "source": text | about(128) | about(1),
    "metadata": st.dictionaries(text, values, max_size=3),
}


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """An event with some fields replaced, dropped or added."""
    event: dict[str, Any] = dict(GOOD)
    for name in draw(st.lists(st.sampled_from(sorted(near)), max_size=3, unique=True)):
        event[name] = draw(near[name] | values)
    for name in draw(st.lists(st.sampled_from(sorted(event)), max_size=1)):
        del event[name]
    if draw(st.integers(0, 9)) == 0:
        event[draw(text)] = draw(values)
    return draw(values) if draw(st.integers(0, 19)) == 0 else event


def is_on_the_calendar(document: Any) -> bool:
    """What the schema leaves to `instants.parse`, as its description says."""
    try:
        instants.parse(document["occurred_at"])
    except ValueError:
        return False
    return True


def decodes(document: Any) -> bool:
    try:
        events.decode(json.dumps(document, ensure_ascii=False).encode())
    except InvalidEventError:
        return False
    return True


@given(documents())
def test_the_schema_and_the_decoder_judge_alike(document: Any) -> None:
    allowed = VALIDATOR.is_valid(document)

    assert decodes(document) == (allowed and is_on_the_calendar(document))


@given(times)
def test_a_time_that_the_schema_lets_pass_fails_only_on_the_calendar(time: str) -> None:
    if VALIDATOR.is_valid({**GOOD, "occurred_at": time}) and not decodes({**GOOD, "occurred_at": time}):
        with pytest.raises(ValueError, match=r"leap second|year from|day is out of range|must be in range"):
            instants.parse(time)


BEYOND = [
    b'{"serial":"SN-1","type":"note","occurred_at":"2026-11-20T00:00:00Z","metadata":{"a":1,"a":2}}',
    b'{"serial":"SN-1","type":"note","occurred_at":"2026-02-30T00:00:00Z"}',
    b'{"serial":"SN-1","type":"note","occurred_at":"2026-11-20T23:59:60Z"}',
    b'{"serial":"SN-1","type":"note","occurred_at":"2201-11-20T23:59:00Z"}',
    b'{"serial":"SN-1","type":"note","occurred_at":"2026-11-20T00:00:00Z","metadata":{"a":'
    + b"[" * 512
    + b"]" * 512
    + b"}}",
]


@pytest.mark.parametrize("data", BEYOND)
def test_what_the_schema_cannot_express_is_refused_by_the_decoder_alone(data: bytes) -> None:
    with pytest.raises(InvalidEventError):
        events.decode(data)

    assert VALIDATOR.is_valid(json.loads(data))


@pytest.mark.parametrize(
    ("field", "char", "limit"),
    [("serial", "S", 128), ("type", "t", 64), ("event_id", "é", 128), ("source", "😀", 128)],
)
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_both_end_at_the_same_length(field: str, char: str, limit: int, more: int) -> None:
    event = {**GOOD, field: char * (limit + more)}

    assert VALIDATOR.is_valid(event) == decodes(event) == (more <= 0)


@pytest.mark.parametrize("field", ["serial", "type", "event_id", "source"])
def test_both_refuse_an_empty_text(field: str) -> None:
    event = {**GOOD, field: ""}

    assert not VALIDATOR.is_valid(event)
    assert not decodes(event)
