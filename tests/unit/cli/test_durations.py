"""Durations of command lines."""

import pytest

from cli import durations


@pytest.mark.parametrize(
    ("text", "seconds"), [("100ms", 0.1), ("1s", 1.0), ("2.5s", 2.5), ("1m", 60.0), ("10ms", 0.01)]
)
def test_a_duration_has_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert durations.parse(text, "10ms", "1m") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "1", "s", "-1s", "1 s", "1h", "9ms", "61s", "1.0001s", "1e2ms", "nan", "٣s", "9" * 99 + "s"]
)
def test_what_is_none_or_beyond_the_limits_is_refused_with_them(text: str) -> None:
    with pytest.raises(ValueError, match="such as 500ms, 10s or 2m, from 10ms to 1m, got"):
        durations.parse(text, "10ms", "1m")
