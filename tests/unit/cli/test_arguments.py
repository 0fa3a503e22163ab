"""Values of options, parsed from text."""

import argparse
from collections.abc import Callable

import pytest

from cli.arguments import count, duration, number, positive, rate, share, whole_number
from cli.output import printable


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (count, "0", 0),
        (count, "9" * 18, 10**18 - 1),
        (positive, "007", 7),
        (whole_number(2, 4), "4", 4),
        (share, "1", 1.0),
        (share, "0", 0.0),
        (rate, "0.5", 0.5),
        (number(10), "1e1", 10.0),
        (duration("10ms", "1m"), "10ms", 0.01),
        (duration("10ms", "1m"), "2.5s", 2.5),
        (duration("10ms", "1m"), "1m", 60.0),
    ],
)
def test_a_value_within_the_bounds_is_taken(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "texts", "expected"),
    [
        (count, ["", "-1", "1.5", "٣", "x", " 1", "1_0", "9" * 19, "9" * 5000], "a whole number, 0 or more"),
        (positive, ["0", "00", "-1"], "a whole number, 1 or more"),
        (whole_number(2, 4, "lanes"), ["1", "5"], "lanes from 2 to 4"),
        (share, ["-0.1", "1.1", "nan", "x", ""], "a share from 0 to 1"),
        (rate, ["0", "-1", "inf", "nan", "x", "2000000"], "items per second above 0, at most 1000000"),
        (number(5), ["0", "6", "9" * 5000], "a number above 0, at most 5"),
    ],
)
def test_any_other_is_refused_with_what_is_expected(
    parse: Callable[[str], float], texts: list[str], expected: str
) -> None:
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError) as refused:
            parse(text)

        assert f"{expected}, got {text[:40]!r}" in str(refused.value)


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert printable("a\x1b[2J\u202e\ud800\tb\n") == "a\\x1b[2J\\u202e\\ud800\\tb\\n"
    assert printable("Gerät 名前") == "Gerät 名前"


@pytest.mark.parametrize(
    "text", ["", "1", "s", "-1s", "1 s", "1h", "9ms", "61s", "1.0001s", "1e2ms", "nan", "٣s", "9" * 99 + "s"]
)
def test_what_is_no_duration_or_beyond_the_limits_is_refused_with_them(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="500ms, 10s or 2m, from 10ms to 1m, got"):
        duration("10ms", "1m")(text)
