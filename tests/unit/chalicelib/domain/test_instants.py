"""Instants: what RFC 3339 and our own rules accept, alike on every version of Python."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import events, instants
from chalicelib.errors import InvalidEventError
from tests.support.lambda_events import wire

REFUSED = [
    *("2026-11-20T24:00:00Z", "2026-11-20T24:00:00.5Z", "2026-11-20T24:00:00+01:00", "2026-11-20T25:00:00Z"),
    *("2026-11-20T23:60:00Z", "2026-11-20T23:59:61Z", "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z"),
    *("2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-11-00T00:00:00Z", "2026-11-32T00:00:00Z"),
    *("9999-12-31T23:59:60Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2201-01-01T00:00:00Z"),
    *(
        "0000-12-31T23:59:60Z",
        "0001-01-01T00:00:00+23:59",
        "1899-12-31T23:59:59.999Z",
        "1899-12-31T23:59:60Z",
    ),
    *(
        "2200-12-31T23:59:59-00:01",
        "2026-11-20T23:59:60Z",
        "2026-11-30T22:59:60Z",
        "2026-11-30T23:59:60+01:00",
    ),
    *(
        "2026-11-20T10:00:00",
        "2026-11-20 10:00:00Z",
        "2026-11-20T10:00Z",
        "2026-W47-5T10:00:00Z",
        "20261120T100000Z",
    ),
    *(
        "2026-11-20T10:00:00,5Z",
        "2026-11-20T10:00:00.Z",
        "2026-11-20T10:00:00+24:00",
        "2026-11-20T10:00:00+01:60",
    ),
    *(
        "2026-11-20T10:00:00+0100",
        "2026-11-20T10:00:00+01:00:00",
        "٢٠٢٦-11-20T10:00:00Z",
        "2026-11-20T10:00:00Z\n",
        "2026-11-20",
        "",
    ),
]


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_what_is_no_instant_is_refused_with_a_sentence_and_as_an_event(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(expected|a leap second)"):
        instants.parse(text)
    with pytest.raises(InvalidEventError, match=r"^`occurred_at`: .*, got '"):
        events.decode(wire(occurred_at=text))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z"),
        ("2200-12-31T23:59:59.999999999Z", "2200-12-31T23:59:59.999999999Z"),
        ("2200-12-31T23:59:60Z", "2200-12-31T23:59:60Z"),
        ("2201-01-01T00:30:00+01:00", "2200-12-31T23:30:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
        ("2017-01-01T00:59:60+01:00", "2016-12-31T23:59:60Z"),
        ("2024-02-29t23:59:60.250z", "2024-02-29T23:59:60.25Z"),
        ("2026-11-20T00:00:00-23:59", "2026-11-20T23:59:00Z"),
    ],
)
def test_the_ends_of_what_is_accepted_and_leap_seconds(text: str, utc: str) -> None:
    assert instants.parse(text).utc == utc


@given(
    st.datetimes(datetime(1900, 1, 2), datetime(2200, 12, 30)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_every_moment_at_every_offset_is_read_as_it_is(moment: datetime, offset: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))

    read = instants.parse(local.isoformat())

    assert read.prefix == instants.prefix(local)
    assert read.offset_minutes == offset


def test_an_instant_is_formatted_from_milliseconds() -> None:
    assert instants.from_epoch_ms(1_790_000_000_987) == "2026-09-21T14:13:20.987Z"
