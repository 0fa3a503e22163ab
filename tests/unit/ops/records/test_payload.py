"""A quarantined payload on a terminal: as far as it decodes, harmless, with a caret under the fault."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import events
from chalicelib.errors import InvalidEventError
from ops.records.payload import SHOWN_CHARS, shown
from tests.support.aggregates import aggregated


def pointed_at(payload: bytes) -> str | None:
    """What stands above the carets when a payload is shown with ingest's reason; None without any."""
    with pytest.raises(InvalidEventError) as caught:
        events.decode(payload)
    *_, above, carets = ["", *shown(payload, str(caught.value))]
    if not carets.strip() or carets.strip("^ "):
        return None
    return above[carets.index("^") : len(carets)]


@pytest.mark.parametrize(
    ("payload", "spot"),
    [
        (b'{"serial": "SN-1", "type": oops}', "o"),
        # From Python 3.13 on the comma itself is what is wrong.
        (b'{\n  "serial": "SN-1",\n  "type": "x",\n}', "," if sys.version_info >= (3, 13) else "}"),
        (b'{"serial": "SN-1"', " "),
        ('{"serial": "Gerät", "note": "'.encode() + b"\xff" + b'"}', "\\xff"),
        (b"\xe2\x82", "\\xe2\\x82"),
        (b'{"serial": "a b", "type": "note", "occurred_at": "2026-01-01T00:00:00Z"}', '"serial"'),
        (b'{"serial": "SN-1", "type": "note", "occurred_at": "yesterday"}', '"occurred_at"'),
        (b'{"serial": "SN-1", "type": "note", "colour": "red"}', '"colour"'),
        (b'{"serial": "SN-1", "metadata": {"a": 1, "b": {"a": 2}, "a": 3}}', '"a"'),
        (b'{"a\\"b": 1, "a\\"b": 2}', '"a\\"b"'),
        (b'{"serial": "SN-1"}', None),
        (b"[1, 2]", None),
        (b"5", None),
        (aggregated(b"{}"), None),
    ],
)
def test_the_spot_that_the_reason_is_about_is_pointed_at(payload: bytes, spot: str | None) -> None:
    assert pointed_at(payload) == spot


@pytest.mark.parametrize(
    ("payload", "spot"),
    [
        (b'{"first": 1, "serial": "SN-1", "serial": "SN-2"}', '"serial": "SN-2"}'),
        (
            b'{"serial": 1, "metadata": [{"serial": 2}, {"x": "serial", "serial": 3, "serial": 4}]}',
            '"serial": 4}]}',
        ),
    ],
)
def test_of_a_key_that_stands_twice_in_one_object_the_second_is_pointed_at(payload: bytes, spot: str) -> None:
    *_, above, carets = shown(payload, "the key 'serial' stands twice in one object")

    assert above[carets.index("^") :] == spot


def test_a_field_is_looked_for_where_fields_are() -> None:
    payload = b'{"metadata": {"serial": 1}, "serial": "a b"}'

    *_, above, carets = shown(payload, "`serial`: expected something else")

    assert above[carets.index("^") :] == '"serial": "a b"}'


def test_wide_characters_before_the_spot_do_not_move_the_caret_off_it() -> None:
    payload = '{"名前": "製品", oops'.encode()

    *_, above, carets = shown(payload, "")

    # Two columns for each of the four wide characters.
    assert carets.index("^") == above.index("oops") + 4


def test_a_large_payload_is_cut_and_says_how_to_get_it_whole() -> None:
    lines = list(shown(b"[" + b"1," * 100_000, ""))

    assert max(map(len, lines)) == SHOWN_CHARS
    assert any(line == f"… {200_001 - SHOWN_CHARS} more; --payload writes all of it" for line in lines)


def test_nesting_too_deep_for_a_parser_is_shown_like_anything_else() -> None:
    lines = list(shown(b"[" * 100_000 + b"]" * 100_000, "nested more than 512 deep"))

    assert lines[0].startswith("[[[[")
    assert "^" not in lines[-1]


def test_a_number_with_more_digits_than_python_converts_is_shown_and_the_spot_found() -> None:
    payload = b'{"big": [' + b"7" * 5000 + b'], "no_such": -' + b"7" * 5000 + b"}"

    *_, above, carets = shown(payload, "'no_such': no such field")

    assert above[carets.index("^") : len(carets)] == '"no_such"'


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    st.text(),
)
def test_nothing_in_a_payload_reaches_the_terminal_as_a_command(payload: bytes, sentence: str) -> None:
    for line in shown(payload, sentence):
        assert line.isprintable()
