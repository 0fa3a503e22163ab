"""How generated events spell serial numbers, times and event ids.

Hand-written because a burst of 100,000 events spells 100,000 times; `datetime` and `uuid` would take longer
than everything else about an event.
"""

from datetime import date
from functools import lru_cache

#: How many serial numbers there are.
SERIALS = 32**8

# Crockford's base 32 has no letters that people confuse.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECONDS_PER_DAY = 86_400


def spelled_serial(number: int) -> str:
    """The serial number with this number, from 0 to SERIALS - 1."""
    return "SN-" + "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -5, -5))


def spelled_time(epoch_us: int, nanosecond: int, digits: int, offset_minutes: int) -> str:
    """RFC 3339 in local time; `nanosecond` is what follows the microsecond, `digits` (0 to 9) are kept."""
    epoch_s, microsecond = divmod(epoch_us, 1_000_000)
    day, second = divmod(epoch_s + offset_minutes * 60, _SECONDS_PER_DAY)
    minute, second = divmod(second, 60)
    fraction = f".{f'{microsecond:06d}{nanosecond:03d}'[:digits]}" if digits else ""
    return f"{_day(day)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}{fraction}{_zone(offset_minutes)}"


def spelled_uuid7(epoch_ms: int, random_bits: int) -> str:
    """A UUID that sorts by time (RFC 9562, section 5.7), from 74 random bits."""
    value = epoch_ms << 80 | 7 << 76 | (random_bits >> 62) << 64 | 2 << 62 | random_bits & (1 << 62) - 1
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@lru_cache(maxsize=16_384)
def _day(number: int) -> str:
    """The date so many days after 1970-01-01."""
    return date.fromordinal(_EPOCH_ORDINAL + number).isoformat()


@lru_cache(maxsize=64)
def _zone(offset_minutes: int) -> str:
    if not offset_minutes:
        return "Z"
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"{'-' if offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}"
