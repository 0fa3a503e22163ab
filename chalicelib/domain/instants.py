"""Reads and writes instants: RFC 3339 with an offset, years 1900 to 2200.

The rules are ours, written out in the pattern and in `parse`; `datetime` only counts days.  Its own parser
accepts more with every release of Python (3.14 takes `24:00:00`), and a record must be judged alike on all of
them.
"""

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

import msgspec

from chalicelib.text import quoted

#: The first instant accepted and the first one no longer accepted, as prefixes of positions.
EARLIEST, TOO_LATE = "1900", "2201"

_RFC3339 = re.compile(
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))"
    r"[Tt]((?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60))(?:\.([0-9]+))?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


class Instant(msgspec.Struct, frozen=True, gc=False):
    """A moment as RFC 3339 gave it: in UTC with every digit, in UTC at the key's width, and in local time."""

    utc: str  # 2026-11-20T20:12:47.123Z, every digit but trailing zeros
    offset_minutes: int
    prefix: str  # 2026-11-20T20:12:47.123000Z, the beginning of a position
    local: str  # 2026-11-20T21:12:47.123+01:00


def parse(text: str) -> Instant:
    """Read an RFC 3339 time with an offset.

    A leap second is accepted in the last minute of a UTC month.  Raises ValueError with a sentence.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"expected RFC 3339 with an offset, got {quoted(text)}")
    date, time, fraction, zone = match.groups()
    local = utc = f"{date}T{time}"
    offset, ahead = _offset(zone)
    is_leap = time.endswith("60")
    try:
        moment = datetime.fromisoformat(utc[:-2] + "59" if is_leap else utc)
        if offset:
            moment -= ahead
            utc = moment.isoformat()
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"expected RFC 3339 with an offset, got {quoted(text)}: {exc}") from exc
    if not EARLIEST <= utc < TOO_LATE:
        raise ValueError(f"expected a year from 1900 to 2200, got {quoted(text)}")
    if is_leap:
        if moment.hour != 23 or moment.minute != 59 or (moment + timedelta(seconds=1)).day != 1:
            raise ValueError(f"a leap second ends a month in UTC, got {quoted(text)}")
        utc = utc[:-2] + "60"  # datetime has no second 60
    digits = fraction.rstrip("0") if fraction else ""
    point = "." if digits else ""
    return Instant(
        utc=f"{utc}{point}{digits}Z",
        offset_minutes=offset,
        prefix=f"{utc}.{digits[:6]:0<6}Z",
        local=f"{local}{point}{digits}{zone if offset else 'Z'}",
    )


def prefix(moment: datetime) -> str:
    """Format an aware datetime as positions begin: UTC, microseconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_epoch_ms(epoch_ms: int) -> str:
    """Format milliseconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=256)
def _offset(zone: str) -> tuple[int, timedelta]:
    """Return how far local time is ahead of UTC, in minutes and as a timedelta."""
    minutes = 0 if zone in "Zz" else int(zone[1:3]) * 60 + int(zone[4:6])
    if zone[0] == "-":
        minutes = -minutes
    return minutes, timedelta(minutes=minutes)
