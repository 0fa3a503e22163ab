"""A product's history as HTML pages.

The only place that knows templates and assets.  Rendered here with Jinja2, autoescaped: every field of an
event is hostile input.  Pages work without JavaScript; assets/page.js adds to them and needs no data of
its own, because it loads the same pages.

References are relative, so that pages work under an API Gateway stage; `root` leads to the API's root.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import msgspec

from chalicelib.api.queries import EventsQuery
from chalicelib.api.views import EventPage, ProductView
from chalicelib.domain import instants, lifecycle
from chalicelib.domain.voids import Voiding
from chalicelib.tables.history import StoredEvent

_HERE = Path(__file__).parent

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

#: How a status looks; the badge says it in words too.
_TONES = {
    "registered": "good",
    "recovered": "good",
    "refabricated": "good",
    "stolen": "bad",
    "retired": "over",
    lifecycle.UNKNOWN: "open",
    lifecycle.UNDETERMINED: "open",
}

_REFUSALS = {
    400: "That does not look right",
    401: "Who is asking?",
    403: "This token is not accepted",
    404: "Nothing is known here",
    406: "Not in that form",
    503: "The history does not answer",
}

_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]

_TOKEN_IS_WANTED = (401, 403)

#: Characters that are not seen, and rule over what is: controls other than white space, and those that turn
#: the order of reading (Unicode's Bidi_Control).  Joiners stay as they are: many scripts need them.
_BIDI_CONTROL = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_RULING = {
    point: f"[U+{point:04X}]"
    for point in (*range(0x20), *range(0x7F, 0xA0), *_BIDI_CONTROL)
    if chr(point) not in "\t\n\r"
}


class Asset(msgspec.Struct, frozen=True):
    """A file that pages refer to."""

    text: str
    content_type: str


class Moment(msgspec.Struct, frozen=True):
    """A time as people read it: where it happened, and in UTC."""

    exact: str  # as recorded, every digit
    date: str  # 20 November 2026
    time: str  # 21:12:47.123
    zone: str  # UTC+01:00
    utc: str  # 2026-11-20 20:12:47.123 UTC; the date is left out where it is the same


class TimelineEntry(msgspec.Struct, frozen=True):
    """One event of a timeline."""

    anchor: str
    title: str
    type: str
    moment: Moment
    source: str | None
    event_id: str | None
    position: str
    recorded_at: str
    metadata: list[tuple[str, str, bool]]  # name, text, whether the text is JSON
    gives: bool  # whether it decides the status, or did
    remark: str | None  # what is odd about it
    voided_by: str | None  # the anchor of the void
    voided_why: str | None
    takes_out: str | None  # the anchor of the event that this one, a void, takes out


def home(root: str) -> str:
    """A search box."""
    return _render("home.html", root)


def product(view: ProductView, following: str | None, root: str) -> str:
    """One product: status, what is odd, and the timeline; `following` leads to the older events."""
    odd = {anomaly.position: anomaly for anomaly in view.reading.anomalies}
    lines = [_line(event, odd.get(event.position), view.reading.voided) for event in view.events]
    return _render(
        "product.html",
        root,
        serial=view.serial,
        path=quote(view.serial, safe=""),
        status=_words(view.status.status),
        tone=_TONES.get(view.status.status, "calm"),
        since=_moment(view.status.since) if view.status.since is not None else None,
        anomalies=[(_remark(anomaly), _anchor(anomaly.position)) for anomaly in view.reading.anomalies],
        lines=lines,
        newest=next((line for line in lines if line.position[:27] <= view.now), None),
        following=following,
        voids_are_known=view.reading.voids_are_known,
    )


def events(page: EventPage, query: EventsQuery, following: str | None, root: str) -> str:
    """One page of a product's events; `following` leads to the next one."""
    odd = {anomaly.position: anomaly for anomaly in page.reading.anomalies}
    return _render(
        "events.html",
        root,
        serial=page.serial,
        path=quote(page.serial, safe=""),
        query=query,
        lines=[_line(event, odd.get(event.position), page.reading.voided) for event in page.events],
        voids_are_known=page.reading.voids_are_known,
        following=following,
    )


def refusal(status: int, message: str, root: str) -> str:
    """Why there is no answer; and where a token is wanted, the shell that asks for one."""
    return _render(
        "refusal.html",
        root,
        status=status,
        title=_REFUSALS.get(status, "Something went wrong" if status >= 500 else "That cannot be answered"),
        message=message,
        asks_for_token=status in _TOKEN_IS_WANTED,
    )


def asset(name: str) -> Asset | None:
    """The asset that pages call by this name; None when there is none."""
    return _assets()[1].get(name)


def _line(event: StoredEvent, anomaly: lifecycle.Anomaly | None, voided: dict[str, Voiding]) -> TimelineEntry:
    from chalicelib.api import representations

    kind = lifecycle.KINDS.get(event.type)
    voiding = voided.get(event.position)
    return TimelineEntry(
        anchor=_anchor(event.position),
        title=_words(event.type),
        type=event.type,
        moment=_moment(event.occurred_at),
        source=event.source,
        event_id=event.event_id,
        position=event.position,
        recorded_at=representations.recorded_at(event),
        metadata=list(_facts(event.metadata)),
        gives=kind is not None and kind.gives is not None and voiding is None,
        remark=_remark(anomaly) if anomaly is not None else None,
        voided_by=_anchor(voiding.by) if voiding is not None else None,
        voided_why=voiding.why if voiding is not None else None,
        takes_out=next((_anchor(taken) for taken, by in voided.items() if by.by == event.position), None),
    )


def _facts(metadata: str) -> Iterator[tuple[str, str, bool]]:
    """The members of the metadata: text as it is, everything else as JSON, numbers as they were written."""
    members = msgspec.json.decode(metadata, type=dict[str, msgspec.Raw])
    for name, raw in members.items():
        text = bytes(raw)
        if text.startswith(b'"'):
            yield name, msgspec.json.decode(text), False
        else:
            yield name, msgspec.json.format(text, indent=2).decode(), True


def _moment(exact: str) -> Moment:
    instant = instants.parse(exact)
    seconds, _, fraction = instant.local[: -1 if instant.local.endswith("Z") else -6].partition(".")
    local_date, local_time = seconds.split("T")
    point = f".{fraction[:3]}" if fraction else ""
    utc_date, utc_time = instant.utc[:19].split("T")
    minutes = abs(instant.offset_minutes)
    sign = "-" if instant.offset_minutes < 0 else "+"
    zone = f"UTC{sign}{minutes // 60:02d}:{minutes % 60:02d}" if minutes else "UTC"
    other_day = "" if utc_date == local_date else f"{_date(utc_date)}, "
    return Moment(exact, _date(local_date), local_time + point, zone, f"{other_day}{utc_time}{point} UTC")


def _date(text: str) -> str:
    # A leap second belongs to its day, and no locale of the machine's has a say.
    day = datetime.fromisoformat(text)
    month = _MONTHS[day.month - 1]
    return f"{day.day} {month} {day.year}"


def _words(name: str) -> str:
    """`dealer_registration` as people write it."""
    text = name.replace("_", " ").strip() or name
    return text[0].upper() + text[1:]


def _remark(anomaly: lifecycle.Anomaly) -> str:
    return _words(anomaly.message.replace(anomaly.type, anomaly.type.replace("_", " ")))


def _anchor(position: str) -> str:
    return f"e-{position[28:44]}"


def _render(template: str, root: str, **model: Any) -> str:
    return _environment().get_template(template).render(root=root, asset=_assets()[0].__getitem__, **model)


def _visible(value: Any) -> Any:
    """What a template is about to put out, before it is escaped: every field of an event comes by here."""
    return value.translate(_RULING) if type(value) is str else value


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def _assets() -> tuple[dict[str, str], dict[str, Asset]]:
    """What templates call an asset, and what it is served as: a name that changes with its content."""
    names, served = {}, {}
    for path in sorted((_HERE / "assets").iterdir()):
        text = path.read_text(encoding="utf-8")
        digest = blake2b(text.encode(), digest_size=6).hexdigest()
        names[path.name] = f"{path.stem}-{digest}{path.suffix}"
        served[names[path.name]] = Asset(text, _CONTENT_TYPES[path.suffix])
    return names, served
