"""The wire format, the canonical form and the key.  The golden vectors may never change."""

import json
from hashlib import blake2b

import pytest

from chalicelib.domain import events
from chalicelib.errors import InvalidEventError


def decoded(**fields: object) -> events.Event:
    whole = {"serial": "SN-1", "type": "note", "occurred_at": "2026-01-01T00:00:00Z", **fields}
    return events.decode(json.dumps(whole).encode())


def with_metadata(text: str) -> events.Event:
    return events.decode(
        b'{"serial":"SN-1","type":"note","occurred_at":"2026-01-01T00:00:00Z","metadata":'
        + text.encode()
        + b"}"
    )


def refusal(data: bytes) -> InvalidEventError:
    with pytest.raises(InvalidEventError) as caught:
        events.decode(data)
    return caught.value


def digest(canonical: str) -> str:
    """The design's digest, written down a second time."""
    return blake2b(canonical.encode(), digest_size=16, person=b"lifecycle-v1").hexdigest()


GOLDEN = [
    pytest.param(
        '{"serial":"SN-1","type":"production","occurred_at":"2026-01-01T00:00:00Z"}',
        '{"metadata":{},"occurred_at":"2026-01-01T00:00:00Z","offset_minutes":0,"serial":"SN-1","type":"production"}',
        "2026-01-01T00:00:00.000000Z#99f68f04fbe1bc6263451250bbcea79c",
        id="the least an event has",
    ),
    pytest.param(
        '{"type":"dealer_registration","metadata":{"dealer":"Zoë","country":"DE"},"source":"dealer-0173",'
        '"event_id":"0198c5f2","occurred_at":"2026-11-20T21:12:47.123+01:00","serial":"SN-4F7K2M9Q"}',
        '{"event_id":"0198c5f2","metadata":{"country":"DE","dealer":"Zoë"},'
        '"occurred_at":"2026-11-20T20:12:47.123Z","offset_minutes":60,"serial":"SN-4F7K2M9Q",'
        '"source":"dealer-0173","type":"dealer_registration"}',
        "2026-11-20T20:12:47.123000Z#",
        id="every field, in another order, with an offset",
    ),
    pytest.param(
        '{"serial":"a","type":"t","occurred_at":"2000-02-29T23:59:59.123456789000-09:30",'
        '"metadata":{"n":[-0,1e2,1E+2,1.10,0.0,1234567890123456789012345678901234567890]}}',
        '{"metadata":{"n":[-0,1e2,1E+2,1.10,0.0,1234567890123456789012345678901234567890]},'
        '"occurred_at":"2000-03-01T09:29:59.123456789Z","offset_minutes":-570,"serial":"a","type":"t"}',
        "2000-03-01T09:29:59.123456Z#",
        id="numbers as written, nine digits of a fraction, an odd offset",
    ),
    pytest.param(
        '{"serial":"a","type":"t","occurred_at":"2026-01-01T00:00:00Z",'
        '"metadata":{"\\uff5e":1,"\\ud83d\\ude00":2,"":3,"b":{"z":null,"A":true},"a":"\\u0007\\/\\u007f\\u2028\\n"}}',
        '{"metadata":{"":3,"a":"\\u0007/\x7f\u2028\\n","b":{"A":true,"z":null},"\uff5e":1,"😀":2},'
        '"occurred_at":"2026-01-01T00:00:00Z","offset_minutes":0,"serial":"a","type":"t"}',
        "2026-01-01T00:00:00.000000Z#",
        id="Unicode: sorted by code point, nothing escaped that need not be",
    ),
]


@pytest.mark.parametrize(("wire", "canonical", "position"), GOLDEN)
def test_the_key_is_the_digest_of_the_canonical_form(wire: str, canonical: str, position: str) -> None:
    event = events.decode(wire.encode())

    assert event.position.startswith(position)
    assert event.position.endswith(f"#{digest(canonical)}")


@pytest.mark.parametrize(
    ("wire", "position"),
    [
        ({}, "2026-01-01T00:00:00.000000Z#5ee0c093921fea7690bb4b59e5994261"),
        ({"metadata": {"a": 1}}, "2026-01-01T00:00:00.000000Z#ccd20f47c3d948287cfc0eb15a7de4ca"),
        ({"event_id": "e", "source": "s"}, "2026-01-01T00:00:00.000000Z#908ed6a4199f874c28c77b0aae4cb8dc"),
    ],
)
def test_keys_written_years_ago_are_still_the_keys(wire: dict[str, object], position: str) -> None:
    assert decoded(**wire).position == position


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"n":1.1}', '{"n":1.10}'),
        ('{"n":1e2}', '{"n":1E2}'),
        ('{"n":100}', '{"n":1e2}'),
        ('{"n":0}', '{"n":-0}'),
        ('{"n":1}', '{"n":"1"}'),
        ('{"n":null}', "{}"),
        ('{"é":1}', '{"e\\u0301":1}'),
    ],
)
def test_what_is_written_differently_has_another_key(one: str, other: str) -> None:
    assert with_metadata(one).position != with_metadata(other).position


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":2}', ' { "b" : 2 ,\n"a":1 } '),
        ('{"a":"\\u00e9\\/"}', '{"a":"é/"}'),
        ("{}", "null"),
    ],
)
def test_what_means_the_same_has_the_same_key(one: str, other: str) -> None:
    assert with_metadata(one) == with_metadata(other)


def test_absent_and_null_are_the_same() -> None:
    assert decoded(event_id=None, source=None, metadata=None) == decoded()


def test_the_event_id_is_part_of_the_identity() -> None:
    assert decoded(event_id="1").position != decoded(event_id="2").position


@pytest.mark.parametrize(
    ("text", "local", "prefix"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.100000Z"),
        ("2026-01-01T00:00:00.120Z", "2026-01-01T00:00:00.12Z", "2026-01-01T00:00:00.120000Z"),
        ("2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456Z"),
        ("2026-01-01T00:00:00.999999999Z", "2026-01-01T00:00:00.999999999Z", "2026-01-01T00:00:00.999999Z"),
        ("2026-01-01t00:00:00.000000000z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T00:30:00+05:45", "2026-01-01T00:30:00+05:45", "2025-12-31T18:45:00.000000Z"),
        ("1899-12-31T23:00:00-02:00", "1899-12-31T23:00:00-02:00", "1900-01-01T01:00:00.000000Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.500000Z"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:59:60+01:00", "2016-12-31T23:59:60.000000Z"),
    ],
)
def test_times_keep_every_digit_and_the_offset(text: str, local: str, prefix: str) -> None:
    event = decoded(occurred_at=text)

    assert event.occurred_at == local
    assert events.prefix_of(event.position) == prefix


@pytest.mark.parametrize(
    ("data", "reason", "sentence"),
    [
        (b"\xff\xfe{}", "not_utf8", "byte 0 is not UTF-8: invalid start byte"),
        (b'{"serial":"SN-1', "not_json", "not JSON at line 1 column 11: Unterminated string starting at"),
        ("{\u20ac".encode()[:-1], "not_utf8", "byte 1 is not UTF-8: unexpected end of data"),
        (b"\xef\xbb\xbf{}", "not_json", "begins with a byte order mark, which is not JSON"),
        (b"", "not_json", "not JSON at line 1 column 1: Expecting value"),
        (b"NaN", "not_json", "NaN is not JSON"),
        (b"[]", "invalid_event", "an event is a JSON object, got an array"),
        (b"null", "invalid_event", "an event is a JSON object, got null"),
        (b"12", "invalid_event", "an event is a JSON object, got a number"),
        (b'{"serial":1}', "invalid_event", "`serial`: expected a string, got a number"),
        (b'{"serial":null}', "invalid_event", "`serial`: required, but absent"),
        (b'{"colour":1}', "invalid_event", "'colour': no such field in an event"),
        (b'{"serial":"a","serial":"a"}', "invalid_event", "the key 'serial' stands twice in one object"),
    ],
)
def test_the_sentence_says_what_and_where(data: bytes, reason: str, sentence: str) -> None:
    error = refusal(data)

    assert (error.reason, str(error)) == (reason, sentence)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"serial": "-1"},
            "`serial`: expected 1 to 128 of A-Z a-z 0-9 . _ : -, a letter or digit first, got '-1'",
        ),
        ({"serial": ""}, "`serial`: expected 1 to 128"),
        ({"serial": "x" * 129}, "`serial`: expected 1 to 128"),
        ({"serial": "é"}, "`serial`: expected 1 to 128"),
        ({"serial": "a\n"}, "`serial`: expected 1 to 128"),
        ({"type": "Service"}, "`type`: expected a lower-case letter"),
        ({"type": "x" * 65}, "`type`: expected a lower-case letter"),
        ({"event_id": ""}, "`event_id`: expected 1 to 128 characters, got 0"),
        ({"event_id": "x" * 129}, "`event_id`: expected 1 to 128 characters, got 129"),
        ({"source": 7}, "`source`: expected a string, got a number"),
        ({"source": True}, "`source`: expected a string, got a boolean"),
        ({"metadata": []}, "`metadata`: expected a JSON object, got an array"),
        ({"metadata": "x"}, "`metadata`: expected a JSON object, got a string"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        decoded(**fields)

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '{"b":[{"a":1,"a":1}]}', '{"b":{"a":1,"\\u0061":1}}'])
def test_a_key_twice_in_one_object_is_an_invalid_event_at_any_depth(text: str) -> None:
    with pytest.raises(InvalidEventError, match="the key 'a' stands twice in one object"):
        with_metadata(text)


@pytest.mark.parametrize("text", ['{"a":"\\ud800"}', '{"\\udfff":1}', '{"a":["\\ud800\\ud800"]}'])
def test_half_a_surrogate_pair_is_an_invalid_event(text: str) -> None:
    with pytest.raises(InvalidEventError, match="half of a surrogate pair"):
        with_metadata(text)


def test_deep_nesting_survives_up_to_the_limit_and_not_beyond() -> None:
    deepest = events.MAX_DEPTH - 1  # the event itself is one level

    kept = with_metadata('{"a":' + "[" * (deepest - 1) + "]" * (deepest - 1) + "}")

    assert kept.metadata.count("[") == deepest - 1
    with pytest.raises(InvalidEventError, match="nested more than 512 deep"):
        with_metadata('{"a":' + "[" * deepest + "]" * deepest + "}")


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    kept = with_metadata('{"a":"' + "[{" * 5000 + '\\"[[["}')

    assert kept.metadata.count("[") == 5003


@pytest.mark.parametrize("data", [b"[" * 1_000_000, b'{"a":' * 200_000, b"[" * 600 + b'\\"' * 500_000])
def test_hostile_nesting_is_refused_in_no_time_and_without_a_crash(data: bytes) -> None:
    assert refusal(data).reason == "invalid_event"


def test_a_repeated_field_is_not_made_up_for_by_a_missing_one() -> None:
    # `,"metadata":{}` is what canonical form adds here, and just as long as what the repetition adds.
    twice = b'{"serial":"a","type":"t","occurred_at":"2026-01-01T00:00:00Z","source":"ab","source":"ab"}'

    assert str(refusal(twice)) == "the key 'source' stands twice in one object"
