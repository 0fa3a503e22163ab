"""A product's history as HTML pages.

The only place that knows templates and assets.  Rendered here with Jinja2, autoescaped: every field of an
event is hostile input.  Pages work without JavaScript; the scripts among the assets add to them and need no
data of their own, because they load the same pages.

References are relative, so that pages work under an API Gateway stage; `root` leads to the API's root.  A
page stays within what Lambda can answer because its number of lines and each line are bounded (timeline.py).
"""

from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import msgspec

from chalicelib.api import timeline, words
from chalicelib.api.queries import EventsQuery
from chalicelib.api.views import EventPage, ProductView
from chalicelib.domain import lifecycle

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


def home(root: str) -> str:
    """A search box."""
    return _render("home.html", root)


def product(view: ProductView, following: str | None, root: str) -> str:
    """One product: status, what is odd, and the timeline; `following` leads to the older events."""
    address = _address(root, view.serial)
    lines = timeline.Timeline(view.events, f"{address}/events", view.reading.anomalies, view.reading.voided)
    return _render(
        "product.html",
        root,
        serial=view.serial,
        address=address,
        status=words.name(view.status.status),
        tone=_TONES.get(view.status.status, "calm"),
        since=words.moment(view.status.since) if view.status.since is not None else None,
        timeline=lines,
        newest=next((line for line in lines.lines if line.position[:27] <= view.now), None),
        following=following,
        voids_are_known=view.reading.voids_are_known,
        known_after=_day(view.reading.known_after),
    )


def events(page: EventPage, query: EventsQuery, following: str | None, root: str) -> str:
    """One page of a product's events; `following` leads to the next one."""
    address = _address(root, page.serial)
    return _render(
        "events.html",
        root,
        serial=page.serial,
        address=address,
        query=query,
        type=words.name(query.type) if query.type is not None else None,
        timeline=timeline.Timeline(
            page.events, f"{address}/events", page.reading.anomalies, page.reading.voided
        ),
        voids_are_known=page.reading.voids_are_known,
        known_after=_day(page.reading.known_after) if query.anomalies else None,
        following=following,
    )


def refusal(status: int, message: str, root: str, typed: str = "", is_product: bool = False) -> str:
    """Why there is no answer, and what to do: give a token, or look for another product.

    `typed` is the serial that was asked for, as it was given.
    """
    return _render(
        "refusal.html",
        root,
        status=status,
        refusal=words.refusal(status, message, is_product),
        typed=typed,
    )


def asset(name: str) -> Asset | None:
    """The asset that pages call by this name; None when there is none."""
    return _assets()[1].get(name)


def _day(position: str | None) -> str | None:
    return words.date(position[:10]) if position is not None else None


def _address(root: str, serial: str) -> str:
    return f"{root}products/{quote(serial, safe='')}"


def _render(template: str, root: str, **model: Any) -> str:
    return _environment().get_template(template).render(root=root, asset=_assets()[0].__getitem__, **model)


def _visible(value: Any) -> Any:
    """What a template is about to put out, before it is escaped: every field of an event comes by here."""
    if type(value) is not str or (value.isascii() and value.isprintable()):
        return value
    return value.translate(_RULING)


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
