"""Words for people: times, names, oddities and refusals as the pages say them.

Knows neither HTML nor HTTP's terms; nothing here is longer than what it is given, but for times, which have
a fixed width.
"""

from datetime import datetime
from functools import lru_cache

import msgspec

from chalicelib.domain import instants, lifecycle

_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]

#: Characters of a recorded time that are shown; its fraction may have any number of digits.
_MAX_EXACT = 64


class Moment(msgspec.Struct, frozen=True):
    """A time as people read it: where it happened, and in UTC."""

    exact: str  # as recorded, every digit up to _MAX_EXACT characters
    machine: str  # as HTML's `datetime` takes it: three digits of a second
    year: str
    short: str  # 20 Nov
    date: str  # 20 November 2026
    clock: str  # 21:12
    time: str  # 21:12:47.123
    zone: str  # UTC+01:00
    utc: str  # 20:12:47.123 UTC; with its date where that is another one


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no answer, for a person."""

    title: str
    sentences: tuple[str, ...]
    remedy: str  # what the page offers: `token`, `search`, `again` or `home`
    detail: str | None = None  # the API's own sentence, where it says more


def moment(exact: str) -> Moment:
    """A recorded time in words.  `exact` is a time that the history holds."""
    instant = instants.parse(exact)
    local, utc = instant.local, instant.utc
    offset = "Z" if local.endswith("Z") else local[-6:]
    point = local[19 : -len(offset)][:4]
    local_date, local_time = date(local[:10]), local[11:19]
    other_day = "" if utc[:10] == local[:10] else f"{date(utc[:10])}, "
    return Moment(
        exact=exact if len(exact) <= _MAX_EXACT else exact[:_MAX_EXACT] + "…",
        machine=f"{local[:19]}{point}{offset}",
        year=local[:4],
        short=_short(local[:10]),
        date=local_date,
        clock=local_time[:5],
        time=local_time + point,
        zone="UTC" if offset == "Z" else f"UTC{offset}",
        utc=f"{other_day}{utc[11:19]}{point} UTC",
    )


def name(word: str) -> str:
    """`dealer_registration` as people write it."""
    text = word.replace("_", " ").strip() or word
    return text[0].upper() + text[1:]


def oddity(anomaly: lifecycle.Anomaly) -> str:
    """What is odd about an event, as a sentence without its full stop."""
    return name(anomaly.message.replace(anomaly.type, anomaly.type.replace("_", " ")))


def refusal(status: int, message: str, is_product: bool) -> Refusal:
    """Why there is no answer.

    `message` is the API's sentence; `is_product` says whether a product was asked for.
    """
    if status == 400 and message.startswith("serial:"):
        return _NO_SERIAL
    if status == 404:
        return _UNKNOWN_PRODUCT if is_product else _NOTHING_HERE
    known = _REFUSALS.get(status)
    if known is None:
        known = _BROKEN if status >= 500 else _UNANSWERABLE
    return msgspec.structs.replace(known, detail=message) if status in _DETAILED else known


#: Refusals of which only the API's own sentence knows what exactly is wrong.
_DETAILED = (400, 403, 405, 406)

_NO_SERIAL = Refusal(
    "That is not a serial number",
    (
        "A serial number is made of the letters A to Z, large or small, of digits, and of the signs "
        "full stop, hyphen, colon and underscore. It begins with a letter or a digit, has no spaces "
        "inside and is 128 characters long at most.",
    ),
    "search",
)

_UNKNOWN_PRODUCT = Refusal(
    "Nothing is known of this product",
    (
        "No event has been recorded under this serial number.",
        "Look at it once more: large and small letters are different letters here, and 0 and O, or 1, l "
        "and I, look alike. A product that was made a moment ago may take a few seconds to appear.",
    ),
    "search",
)

_NOTHING_HERE = Refusal(
    "There is no such page",
    (
        "The address leads nowhere. It may have been cut off or mistyped. To see what happened to a "
        "product, look for its serial number.",
    ),
    "search",
)

_BROKEN = Refusal(
    "Something went wrong here",
    (
        "It is not your doing, and nothing that was recorded is lost. Try again in a moment; if it stays so, "
        "tell the people who run this history: their log has the reason.",
    ),
    "again",
)

_UNANSWERABLE = Refusal("That cannot be answered", ("The request is not one that this page knows.",), "home")

_REFUSALS = {
    400: Refusal(
        "That does not look right",
        (
            "The address asks for something that is not understood here. It may have been cut off or "
            "changed on its way to you.",
        ),
        "home",
    ),
    401: Refusal(
        "Who is asking?",
        (
            "This history is open only to those who have an access token: a line of letters and digits "
            "that begins with lch_. Paste yours below. If you have none, ask the people who run this "
            "history for one.",
        ),
        "token",
    ),
    403: Refusal(
        "This token is not accepted",
        (
            "It may have been cut off when it was copied, have been replaced, or have run out. Paste it "
            "again, whole, or ask for a new one where you got it.",
        ),
        "token",
    ),
    405: Refusal("That cannot be done here", ("This address can be looked at, and nothing else.",), "home"),
    406: Refusal(
        "Not in that form",
        ("It can be had as a page for people and as data for programs, but not in the form asked for.",),
        "home",
    ),
    410: Refusal(
        "This product's history was erased",
        (
            "What was recorded under this serial number has been erased on request, for good. It is not "
            "an error, and trying again will not bring it back.",
        ),
        "search",
    ),
    503: Refusal(
        "The history does not answer just now",
        ("Nothing is lost: what was recorded is still there. Try again in a moment.",),
        "again",
    ),
}


@lru_cache(maxsize=1024)
def date(text: str) -> str:
    """`2026-11-20` as people write it."""
    # No locale of the machine's has a say.
    day = datetime.fromisoformat(text)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


@lru_cache(maxsize=1024)
def _short(text: str) -> str:
    day = datetime.fromisoformat(text)
    return f"{day.day} {_MONTHS[day.month - 1][:3]}"
