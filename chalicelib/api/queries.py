"""What a caller asks for: path, query string and Accept header, parsed.

The only place that reads them.  Everything in a request is hostile until it has passed through here; what
cannot be understood is an InvalidRequestError with a sentence, never a guess.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlencode

import msgspec
from chalice.app import Request

from chalicelib.api import cursors
from chalicelib.domain import events
from chalicelib.errors import InvalidRequestError, NotAcceptableError

#: The largest page, and the page a caller gets who does not say.
MAX_LIMIT, DEFAULT_LIMIT = 1000, 100

#: What `format=` may say, and the media type it stands for: a link cannot set an Accept header.
FORMATS = {
    "json": "application/json",
    "html": "text/html",
    "epcis": "application/ld+json",
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
}

#: The representations of a product, and of its events, in the order of our preference.
PRODUCT_FORMATS = ("json", "html", "epcis")
EVENTS_FORMATS = ("json", "html", "csv", "ndjson", "epcis")

_ORDERS = ("asc", "desc")

# RFC 9110, 12.5.1, leaving parameters other than q aside: none of ours has any.
_RANGE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*((?:;[^,]*)?)")
_WEIGHT = re.compile(r";\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)")


class EventsQuery(msgspec.Struct, frozen=True):
    """The parsed query string of `/products/{serial}/events`."""

    type: str | None = None
    since: str | None = None  # inclusive, as positions begin
    until: str | None = None  # exclusive
    order: str = "desc"
    limit: int = DEFAULT_LIMIT
    after: str | None = None
    format: str | None = None  # as named in the query string; None when it was not

    def identity(self, serial: str) -> tuple[str | None, ...]:
        """What a cursor belongs to."""
        return (serial, self.type, self.since, self.until, self.order)

    def following(self, serial: str, position: str) -> str:
        """The query string of the page that begins behind `position`."""
        given = {
            "type": self.type,
            "since": self.since,
            "until": self.until,
            "order": self.order,
            "limit": str(self.limit),
            "format": self.format,
            "cursor": cursors.encode(position, self.identity(serial)),
        }
        return "?" + urlencode({name: value for name, value in given.items() if value is not None})


def serial_of(raw: str) -> str:
    """The serial of a path; API Gateway leaves path parameters percent-encoded."""
    serial = unquote(raw)
    if not events.is_serial(serial):
        raise InvalidRequestError(f"serial: expected {events.SERIAL_RULE}, got {quoted(serial)}")
    return serial


def events_query(request: Request, serial: str) -> EventsQuery:
    """The query string of `/products/{serial}/events`.  Raises InvalidRequestError with a sentence."""
    given = parameters(request, ("type", "since", "until", "order", "limit", "cursor", "format"))
    type_ = given.get("type")
    if type_ is not None and not events.is_type(type_):
        raise InvalidRequestError(f"type: expected {events.TYPE_RULE}, got {quoted(type_)}")
    order = given.get("order", "desc")
    if order not in _ORDERS:
        raise InvalidRequestError(f"order: expected asc or desc, got {quoted(order)}")
    since, until = _moment(given, "since"), _moment(given, "until")
    if since is not None and until is not None and since > until:
        raise InvalidRequestError("since: lies after until, so nothing can match")
    query = EventsQuery(type_, since, until, order, _limit(given), format=format_of(given, EVENTS_FORMATS))
    if "cursor" in given:
        after = cursors.decode(given["cursor"], query.identity(serial))
        if not (since or "") <= after < (until or "9"):
            raise InvalidRequestError("cursor: lies outside since and until; start again without it")
        query = msgspec.structs.replace(query, after=after)
    return query


def parameters(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """The query string as a dict.  A parameter we do not know is refused: ignored, it would mislead."""
    query = request.query_params
    if query is None:
        return {}
    given: dict[str, str] = {}
    for name in query:
        if name not in known:
            expected = f"expected {', '.join(known)}" if known else "none are expected here"
            raise InvalidRequestError(f"no such parameter {quoted(name)}; {expected}")
        values = query.getlist(name)
        if len(values) != 1:
            raise InvalidRequestError(f"{name}: given {len(values)} times, expected once")
        given[name] = values[0]
    return given


def format_of(given: Mapping[str, str], offered: tuple[str, ...]) -> str | None:
    """What `format=` names; None when it is not there."""
    name = given.get("format")
    if name is not None and name not in offered:
        raise InvalidRequestError(f"format: expected {', '.join(offered)}, got {quoted(name)}")
    return name


def negotiated(accept: str | None, offered: tuple[str, ...]) -> str:
    """The format that an Accept header likes best; the earlier one offered where it likes two alike.

    Raises NotAcceptableError when it likes none, or cannot be read.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [found for part in accept.split(",") if part.strip() for found in _range(part)]
    weights = {name: _weight(FORMATS[name], ranges) for name in offered}
    best = max(offered, key=lambda name: weights[name])
    if weights[best] <= 0:
        types = ", ".join(FORMATS[name] for name in offered)
        raise NotAcceptableError(f"Accept: this address answers with {types}, got {quoted(accept)}")
    return best


def prefers_html(accept: str | None) -> bool:
    """Whether a caller would rather read a page than JSON, whatever the address offers."""
    try:
        return negotiated(accept, ("json", "html")) == "html"
    except NotAcceptableError:
        return False


def quoted(text: str) -> str:
    """A value for a sentence: quoted, escaped, and never long."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def _range(part: str) -> list[tuple[str, str, float]]:
    match = _RANGE.fullmatch(part)
    if match is None:
        return []
    kind, subtype, rest = match.groups()
    if not rest:
        return [(kind.lower(), subtype.lower(), 1.0)]
    weight = _WEIGHT.search(rest)
    return [(kind.lower(), subtype.lower(), float(weight.group(1)) if weight else 1.0)]


def _weight(media_type: str, ranges: list[tuple[str, str, float]]) -> float:
    """What the most specific range says of this type."""
    kind, _, subtype = media_type.partition("/")
    for wanted in ((kind, subtype), (kind, "*"), ("*", "*")):
        weights = [weight for *range_, weight in ranges if tuple(range_) == wanted]
        if weights:
            return max(weights)
    return 0.0


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequestError(f"limit: expected a number from 1 to {MAX_LIMIT}, got {quoted(text)}")
    return int(text)


def _moment(given: Mapping[str, str], name: str) -> str | None:
    if name not in given:
        return None
    text = given[name]
    try:
        return events.instant(text).prefix
    except ValueError as exc:
        # A plus sign that was not percent-encoded arrives as a space.
        hint = " (a + in a query string is written %2B)" if " " in text else ""
        raise InvalidRequestError(f"{name}: {exc}{hint}") from exc
