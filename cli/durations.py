"""Durations as they are written on a command line: a number with the unit `ms`, `s` or `m`."""

import re

_DURATION = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def parse(text: str, least: str, most: str) -> float:
    """Return the seconds of a duration from `least` to `most`, both written the same way.

    Raises ValueError with the limits.
    """
    seconds = _seconds(text)
    if seconds is None or not (_seconds(least) or 0.0) <= seconds <= (_seconds(most) or 0.0):
        raise ValueError(
            f"expected a duration such as 500ms, 10s or 2m, from {least} to {most}, got {text[:40]!r}"
        )
    return seconds


def _seconds(text: str) -> float | None:
    found = _DURATION.fullmatch(text)
    return None if found is None else float(found[1]) * _SECONDS[found[2]]
