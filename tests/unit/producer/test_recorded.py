"""Recorded input: foreign names, spellings and faults."""

import io
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import events
from chalicelib.errors import ConfigurationError
from producer.recorded import MAX_LINE_BYTES, MAX_ROW_LINES, Line, lines_of, parse_mapping, read, type_name

FOREIGN = {"serial": "sn", "occurred_at": "timestamp"}
WIRE = b'{"serial":"SN-1","type":"note","occurred_at":"2026-01-01T00:00:00Z"'


def ndjson(text: bytes, mapping: Mapping[str, str] | None = None) -> list[Line]:
    return list(read(lines_of(io.BytesIO(text)), "ndjson", mapping or {}))


def table(text: bytes, mapping: Mapping[str, str] | None = None) -> list[Line]:
    return list(read(lines_of(io.BytesIO(text)), "csv", mapping or {}))


def reason(line: bytes, mapping: Mapping[str, str] | None = None) -> str:
    ((_, data, reason),) = ndjson(line, mapping)
    assert data is None
    assert reason is not None
    return reason


def only_event(line: bytes, mapping: Mapping[str, str] | None = None) -> events.Event:
    ((_, data, reason),) = ndjson(line, mapping)
    assert reason is None
    assert data is not None
    return events.decode(data)


def test_foreign_names_are_mapped_and_the_rest_becomes_metadata() -> None:
    event = only_event(
        b'{"type":"Theft","timestamp":"2026-11-20T20:56:10.935Z","sn":"P0002181","countryCode":"CG"}', FOREIGN
    )

    assert (event.serial, event.type, event.occurred_at) == ("P0002181", "theft", "2026-11-20T20:56:10.935Z")
    assert event.metadata == '{"countryCode":"CG"}'


@pytest.mark.parametrize(
    "spelled",
    [
        *("DealerRegistration", "dealerRegistration", "dealer registration", "Dealer-Registration"),
        *("DEALER_REGISTRATION", " dealer.registration ", "dealer_registration"),
    ],
)
def test_a_type_has_one_name_however_it_is_spelled(spelled: str) -> None:
    assert type_name(spelled) == "dealer_registration"


def test_words_of_a_type_end_where_a_reader_sees_it() -> None:
    assert (type_name("GPSLost"), type_name("Level2Service")) == ("gps_lost", "level2_service")


@pytest.mark.parametrize("number", ["1.10", "-0", "1e2", "1E+2", "0.1000", "1" * 40, "123456789012345678.90"])
def test_numbers_stay_exactly_as_they_were_written(number: str) -> None:
    event = only_event(WIRE + b',"price":%s,"metadata":{"deep":[{"n":%s}]}}' % ((number.encode(),) * 2))

    assert event.metadata == f'{{"deep":[{{"n":{number}}}],"price":{number}}}'


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, JSON, max_size=5))
def test_an_event_of_ours_is_sent_as_the_same_event(metadata: dict[str, object]) -> None:
    wire = {"serial": "SN-1", "type": "note", "occurred_at": "2026-01-01T00:00:00Z", "metadata": metadata}
    line = json.dumps(wire).encode()

    assert only_event(line) == events.decode(line)


def test_a_serial_number_written_as_a_number_keeps_its_digits() -> None:
    assert only_event(
        b'{"sn":12345678901234567890,"type":"note","occurred_at":"2026-01-01T00:00:00Z"}', FOREIGN
    ).serial == ("12345678901234567890")


def test_a_field_that_a_mapped_one_replaces_becomes_metadata() -> None:
    event = only_event(WIRE + b',"sn":"P-1"}', {"serial": "sn"})

    assert (event.serial, event.metadata) == ("P-1", '{"serial":"SN-1"}')


def test_a_mapping_leaves_lines_that_are_already_ours_alone() -> None:
    assert only_event(WIRE + b"}", FOREIGN) == events.decode(WIRE + b"}")


def test_metadata_can_be_named_one_by_one() -> None:
    event = only_event(WIRE + b',"cc":"DE","metadata":{"a":1}}', {"metadata.country": "cc"})

    assert event.metadata == '{"a":1,"country":"DE"}'


def test_a_bad_line_is_named_and_the_rest_goes_on() -> None:
    lines = ndjson(WIRE + b"}\n\nnot json\n" + WIRE + b"}\n")

    assert [(line.number, line.data is None) for line in lines] == [(1, False), (3, True), (4, False)]
    assert lines[1].reason == "not JSON at column 1: Expecting value"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"[1]", "expected a JSON object"),
        (b'{"a":1,"a":2}', "stands twice"),
        (WIRE + b',"metadata":{"a":{"b":1,"b":2}}}', "stands twice"),
        (WIRE + b',"a":1,"metadata":{"a":2}}', "metadata would have 'a' twice"),
        (WIRE + b',"metadata":"text"}', "`metadata`: expected a JSON object, got a string"),
        (WIRE + b',"metadata":"text","a":1}', "`metadata`: expected a JSON object"),
        (WIRE + b',"a":NaN}', "NaN is not JSON"),
        (WIRE + b',"a":"\\ud800"}', "surrogate"),
        (WIRE + b',"a":"\xff"}', "is not UTF-8"),
        (b'{"type":"note","occurred_at":"2026-01-01T00:00:00Z"}', "`serial`: required, but absent"),
        (b'{"serial":"SN-1","type":"note","occurred_at":"yesterday"}', "`occurred_at`: expected RFC 3339"),
        (
            b'{"serial":"SN-1","type":7,"occurred_at":"2026-01-01T00:00:00Z"}',
            "`type`: expected a string, got a number",
        ),
        (WIRE + b',"a":' + b"[" * 600 + b"]" * 600 + b"}", "nested more than 512 deep"),
        (WIRE + b',"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "deep"),
        (WIRE + b',"a":"' + b"x" * MAX_LINE_BYTES + b'"}', "longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_that_cannot_become_an_event_says_why(line: bytes, words: str) -> None:
    assert words in reason(line)


def test_the_line_after_one_without_end_is_read_whole() -> None:
    lines = ndjson(b"x" * (3 * MAX_LINE_BYTES) + b"\n" + WIRE + b"}\n")

    assert [(line.number, line.data is None) for line in lines] == [(1, True), (2, False)]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert [line.reason for line in ndjson(b"\xef\xbb\xbf" + WIRE + b"}\n")] == [None]
    assert [
        line.reason
        for line in table(b"\xef\xbb\xbfserial,type,occurred_at\nSN-1,note,2026-01-01T00:00:00Z\n")
    ] == [None]


def test_a_file_is_read_only_as_far_as_it_is_asked_for() -> None:
    file = io.BytesIO((WIRE + b"}\n") * 1000)

    next(read(lines_of(file), "ndjson", {}))

    assert file.tell() == len(WIRE) + 2


def test_a_table_is_read_by_its_header() -> None:
    lines = table(
        b"sn,type,occurred_at,dealer,price,comment\r\n"
        b'SN-1,DealerRegistration,2026-01-01T00:00:00+01:00,"Meyer, Sohn",12.50,\r\n'
        b'SN-2,note,2026-01-01T00:00:00Z,"two\nlines",,""\r\n',
        {"serial": "sn"},
    )

    decoded = [events.decode(line.data or b"") for line in lines]
    assert [(event.serial, event.type) for event in decoded] == [
        ("SN-1", "dealer_registration"),
        ("SN-2", "note"),
    ]
    assert decoded[0].metadata == '{"dealer":"Meyer, Sohn","price":"12.50"}'
    assert decoded[1].metadata == '{"dealer":"two\\nlines"}'


def test_a_bad_row_of_a_table_is_named_and_the_rest_goes_on() -> None:
    good = b"SN-1,note,2026-01-01T00:00:00Z\n"
    lines = table(
        b"serial,type,occurred_at\n"
        + good
        + b"a,b,c,d\n"
        + b'SN-1,"note"x,c\n'
        + b"SN-1,n\xffte,c\n"
        + b"SN-1,note\n"
        + good
    )

    assert [line.number for line in lines] == [2, 3, 4, 5, 6, 7]
    assert [line.data is None for line in lines] == [False, True, True, True, True, False]
    reasons = [line.reason or "" for line in lines]
    assert "4 cells under 3 column names" in reasons[1]
    assert "not CSV" in reasons[2]
    assert reasons[3] == "not UTF-8"
    assert "`occurred_at`: required" in reasons[4]


@pytest.mark.parametrize("rest", [5_000, 3], ids=["beyond the largest cell", "to the end of the file"])
def test_a_quote_that_nobody_closes_costs_its_own_row_only(rest: int) -> None:
    good = b"SN-1,note,2026-01-01T00:00:00Z,fine\n"
    lines = table(
        b"serial,type,occurred_at,remark\n"
        + good
        + b'SN-1,note,2026-01-01T00:00:00Z,"19 inch\n'
        + good * rest
    )

    assert [line.number for line in lines] == list(range(2, rest + 4))
    assert [line.number for line in lines if line.data is None] == [3]
    assert "begins here" in (lines[1].reason or "")


def test_two_stray_quotes_do_not_take_the_rows_between_them() -> None:
    good = b"SN-1,note,2026-01-01T00:00:00Z,fine\n"
    lines = table(
        b"serial,type,occurred_at,remark\n"
        + b'SN-1,note,2026-01-01T00:00:00Z,"19 inch\n'
        + good
        + b'SN-1,note,2026-01-01T00:00:00Z,"20 inch\n'
        + good
        + b'SN-1,note,2026-01-01T00:00:00Z,"two\nlines"\n'
        + good
    )

    assert [(line.number, line.data is None) for line in lines] == [
        (2, True),
        (3, False),
        (4, True),
        (5, False),
        (7, False),
        (8, False),
    ]


def test_a_row_that_never_ends_does_not_fill_the_memory() -> None:
    endless = b'SN-1,note,2026-01-01T00:00:00Z,"\n' + b'a","\n' * (MAX_ROW_LINES + 10)
    rows = read(lines_of(io.BytesIO(b"serial,type,occurred_at,remark\n" + endless)), "csv", {})

    first = next(rows)

    assert (first.number, first.data) == (2, None)
    assert f"more than {MAX_ROW_LINES} lines" in (first.reason or "")


@pytest.mark.parametrize(
    ("header", "words"),
    [(b"a,b,a\n", "names 'a' twice"), (b"a,,b\n", "a column without a name"), (b'"a', "cannot be read")],
)
def test_a_table_without_a_usable_header_is_refused(header: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        table(header)


@pytest.mark.parametrize(
    ("header", "mapping", "read_and_expected"),
    [
        (b"serial;type;occurred_at", {}, ("'serial;type;occurred_at'", "serial,type,occurred_at")),
        (b"serial\ttype\toccurred_at", {}, (r"'serial\ttype\toccurred_at'", "serial,type,occurred_at")),
        (b"serial,type,when", {"serial": "sn"}, ("'serial,type,when'", "sn,type,occurred_at")),
        (b"x" * 5000, {}, ("'" + "x" * 197 + "...'", "serial,type,occurred_at")),
    ],
    ids=["semicolons", "tabs", "another name", "long"],
)
def test_a_header_under_which_no_row_can_be_an_event_is_one_error(
    header: bytes, mapping: dict[str, str], read_and_expected: tuple[str, str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        table(header + b"\n" + b"SN-1;note;2026-01-01T00:00:00Z\n" * 3, mapping)

    was_read, expected = read_and_expected
    assert str(refused.value) == (
        f"the CSV header reads {was_read}; expected column names with commas between them, among them "
        f"{expected} (--map says so where they have other names)"
    )


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["serial"], "expected FIELD=NAME"),
        (["=sn"], "expected FIELD=NAME"),
        (["seriel=sn"], "no field 'seriel'; it has serial, type"),
        (["metadata.=a"], "no field 'metadata.'"),
        (["serial=a", "serial=b"], "repeats"),
        (["serial=a", "event_id=a"], "repeats"),
    ],
)
def test_an_unusable_mapping_is_refused_with_the_remedy(pairs: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse_mapping(pairs)
