"""Any event, however it is spelled: one canonical form, one key, and no input that crashes the decoder."""

import json
from contextlib import suppress
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import events
from chalicelib.errors import InvalidEventError

LEAST = {"serial": "SN-1", "type": "note", "occurred_at": "2026-01-01T00:00:00Z"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values))
def test_the_canonical_form_is_what_the_standard_library_would_write(metadata: dict[str, object]) -> None:
    event = events.decode(json.dumps({**LEAST, "metadata": metadata}).encode())

    written = json.dumps(
        json.loads(event.metadata), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    assert event.metadata == written
    assert json.loads(event.metadata) == metadata


def spelled(draw: st.DrawFn, value: object) -> str:
    """A JSON value as somebody might write it: with white space, escapes, and a key again now and then."""
    space = draw(st.sampled_from(["", "", "", " ", "\n\t"]))
    if isinstance(value, dict):
        pairs = [f"{spelled(draw, name)}:{spelled(draw, each)}" for name, each in value.items()]
        if pairs and draw(st.integers(0, 9)) == 0:
            pairs.append(draw(st.sampled_from(pairs)))
        return "{" + space + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spelled(draw, each) for each in value) + space + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    if value == 0 and not isinstance(value, bool):
        return draw(st.sampled_from(["0", "-0", "0.0", "0e0"]))
    return json.dumps(value)


@st.composite
def spellings(draw: st.DrawFn) -> str:
    fields = {
        **LEAST,
        "occurred_at": draw(st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.10+01:00"])),
    }
    # Few letters, so that what one thing adds another may take away.
    optional = {
        "event_id": st.text("ab", min_size=1),
        "source": st.none() | st.text("aé", min_size=1),
        "metadata": st.none() | st.dictionaries(st.text("aé\x1f", max_size=2), json_values),
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            fields[name] = draw(values)
    return spelled(draw, fields)


def canonical_by_the_book(text: str) -> str:
    """The canonical form, from the standard library alone.  Raises KeyError for a key that stands twice."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise KeyError
        return dict(pairs)

    number = "\ue000{}\ue001".format  # put between marks as text, and taken out again below
    sent = json.loads(text, object_pairs_hook=unique, parse_int=number, parse_float=number)
    local = sent.pop("occurred_at")
    is_utc = local.endswith("Z")
    whole = {
        **{name: value for name, value in sent.items() if value is not None},
        "metadata": sent.get("metadata") or {},
        "occurred_at": local if is_utc else "2025-12-31T23:00:00.1Z",
        "offset_minutes": 0 if is_utc else 60,
    }
    written = json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return written.replace('"\ue000', "").replace('\ue001"', "")


@given(spellings())
def test_an_event_has_one_key_however_it_is_spelled(text: str) -> None:
    try:
        canonical = canonical_by_the_book(text)
    except KeyError:
        with pytest.raises(InvalidEventError, match="twice in one object"):
            events.decode(text.encode())
    else:
        digest = blake2b(canonical.encode(), digest_size=16, person=b"lifecycle-v1").hexdigest()
        assert events.decode(text.encode()).position.endswith(f"#{digest}")


@given(st.binary(max_size=200) | st.text().map(str.encode) | json_values.map(json.dumps).map(str.encode))
def test_nothing_that_arrives_makes_the_decoder_crash(data: bytes) -> None:
    with suppress(InvalidEventError):
        events.decode(data)
