"""What a caller asks for: path and query string, parsed.

The only place that reads them.  Everything in a request is hostile until it has passed through here; what
cannot be understood is an InvalidRequestError with a sentence, never a guess.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlencode

import msgspec
from chalice.app import Request

from chalicelib.api import cursors, negotiation
from chalicelib.domain import events, instants
from chalicelib.errors import InvalidRequestError
from chalicelib.text import quoted

#: The largest page, and the page a caller gets who does not say.
MAX_LIMIT, DEFAULT_LIMIT = 1000, 100

#: The longest text that a search box takes: a scanned web address may have a long query.
MAX_SEARCH = 2048

_ORDERS = ("asc", "desc")

# What begins like a serial and may be an EPC: a URN, a GS1 key, an element string without brackets.
_EPC = re.compile(r"urn:|gs1:|[0-9]{16}.", re.IGNORECASE)


class EventsQuery(msgspec.Struct, frozen=True):
    """The parsed query string of `/products/{serial}/events`."""

    type: str | None = None
    since: str | None = None  # inclusive, as positions begin
    until: str | None = None  # exclusive
    order: str = "desc"
    limit: int = DEFAULT_LIMIT
    after: str | None = None
    format: str | None = None  # as named in the query string; None when it was not
    anomalies: bool = False  # whether they are asked for

    @property
    def is_whole(self) -> bool:
        """Whether it asks for all events from the first one on, whatever their type and time."""
        return not (self.type or self.since or self.until or self.after)

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
            "anomalies": "yes" if self.anomalies else None,
            "cursor": cursors.encode(position, self.identity(serial)),
        }
        return "?" + urlencode({name: value for name, value in given.items() if value is not None})


def typed(request: Request) -> str:
    """The serial that was asked for, as it was given; whatever it is, it fits into a search box."""
    given = ""
    if request.uri_params and "serial" in request.uri_params:
        given = unquote(request.uri_params["serial"])
    elif request.query_params and "serial" in request.query_params:
        given = request.query_params["serial"]
    return given[:MAX_SEARCH].encode("utf-8", "replace").decode()


def only(serial: str, position: str) -> str:
    """The query string of the page that holds the event at `position` and no other."""
    instant, _, digest = position.partition("#")
    before = f"{instant}#{max(int(digest, 16) - 1, 0):032x}"
    # Up to the next microsecond: where no event has the position, its neighbour is not taken for it.
    microsecond = int(instant[20:26]) + 1
    until = f"{instant[:20]}{microsecond:06d}Z" if microsecond < 1_000_000 else None
    cursor = cursors.encode(before, EventsQuery(until=until, order="asc").identity(serial))
    return f"?{f'until={until}&' if until else ''}order=asc&limit=1&cursor={cursor}"


def serials_of(text: str) -> Iterator[str]:
    """Yield the serials under which the product may be stored that `text` names, the likeliest first.

    `text` is a serial or an EPC.  Raises InvalidRequestError with a sentence when it is neither.
    """
    if events.is_serial(text) and not _EPC.match(text):
        yield text
        return
    # Loaded only for an EPC: a lookup by serial starts as quickly as without it.
    from chalicelib.epcis import lookup

    yield from lookup.serials(text)


def events_query(request: Request, serial: str) -> EventsQuery:
    """The query string of `/products/{serial}/events`.  Raises InvalidRequestError with a sentence."""
    given = parameters(request, ("type", "since", "until", "order", "limit", "cursor", "format", "anomalies"))
    type_ = given.get("type")
    if type_ is not None and not events.is_type(type_):
        raise InvalidRequestError(f"type: expected {events.TYPE_RULE}, got {quoted(type_)}")
    order = given.get("order", "desc")
    if order not in _ORDERS:
        raise InvalidRequestError(f"order: expected asc or desc, got {quoted(order)}")
    since, until = _moment(given, "since"), _moment(given, "until")
    if since is not None and until is not None and since > until:
        raise InvalidRequestError("since: lies after until, so nothing can match")
    query = EventsQuery(
        type_,
        since,
        until,
        order,
        _limit(given),
        format=format_of(given, negotiation.EVENTS_FORMATS),
        anomalies=_anomalies(given),
    )
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


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequestError(f"limit: expected a number from 1 to {MAX_LIMIT}, got {quoted(text)}")
    return int(text)


def _anomalies(given: Mapping[str, str]) -> bool:
    text = given.get("anomalies", "no")
    if text not in ("yes", "no"):
        raise InvalidRequestError(f"anomalies: expected yes or no, got {quoted(text)}")
    if text == "yes" and "type" in given:
        raise InvalidRequestError(
            "anomalies: not known of events of one type alone; leave out one of the two"
        )
    return text == "yes"


def _moment(given: Mapping[str, str], name: str) -> str | None:
    if name not in given:
        return None
    text = given[name]
    try:
        return instants.parse(text).prefix
    except ValueError as exc:
        # A plus sign that was not percent-encoded arrives as a space.
        hint = " (a + in a query string is written %2B)" if " " in text else ""
        raise InvalidRequestError(f"{name}: {exc}{hint}") from exc
