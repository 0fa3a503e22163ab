"""Times as people read them."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api import words
from chalicelib.domain import lifecycle


def test_a_moment_says_where_it_happened_and_when_in_utc() -> None:
    moment = words.moment("2026-02-01T23:30:00.1234567-05:00")

    assert (moment.year, moment.short, moment.clock) == ("2026", "1 Feb", "23:30")
    assert (moment.date, moment.time, moment.zone) == ("1 February 2026", "23:30:00.123", "UTC-05:00")
    assert moment.utc == "2 February 2026, 04:30:00.123 UTC"
    assert moment.machine == "2026-02-01T23:30:00.123-05:00"
    assert moment.exact == "2026-02-01T23:30:00.1234567-05:00"


@pytest.mark.parametrize("exact", ["2016-12-31T23:59:60Z", "2017-01-01T05:29:60+05:30"])
def test_a_leap_second_belongs_to_its_day(exact: str) -> None:
    moment = words.moment(exact)

    assert moment.time.endswith(":60")
    assert moment.utc.endswith("23:59:60 UTC")


@given(
    st.datetimes(datetime(1900, 1, 3), datetime(2200, 12, 29)),
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 5000).map(lambda count: "1234567890" * (count // 10) + "1" * (count % 10)),
)
def test_however_many_digits_a_time_has_its_words_are_short(at: datetime, offset: int, digits: str) -> None:
    local = at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    text = local.isoformat()
    exact = f"{text[:19]}.{digits}{text[19:]}" if digits else text

    moment = words.moment(exact)

    assert moment.machine.startswith(text[:19])
    assert moment.machine.endswith("Z" if not offset else text[19:])
    assert all(len(part) <= 65 for part in (moment.exact, moment.utc, moment.date, moment.time))
    assert moment.exact.rstrip("…") == exact[: len(moment.exact.rstrip("…"))]


def test_an_oddity_is_a_sentence_about_the_event() -> None:
    anomaly = lifecycle.Anomaly("p", "dealer_registration", "x", "dealer_registration while stolen")

    assert words.oddity(anomaly) == "Dealer registration while stolen"
    assert words.name("___") == "___"
