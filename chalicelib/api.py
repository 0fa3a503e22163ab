"""The REST API: HTTP in, JSON out.

Requests are parsed here and nowhere else; answers are written here.  Metadata goes out as the canonical
JSON text that is stored, never through Python numbers.  Reads are eventually consistent: half the price,
and a lookup that comes within a moment of its event may come again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, unquote, urlencode

import msgspec
from chalice.app import BadRequestError, ChaliceViewError, NotFoundError, Request, Response

from chalicelib import cursors, events, lifecycle
from chalicelib.errors import InvalidRequestError, ProductNotFoundError, StorageError
from chalicelib.history import History, Page, StoredEvent

#: Events in a product's own answer.
NEWEST = 50

#: The largest page, and the page a caller gets who does not say.
MAX_LIMIT, DEFAULT_LIMIT = 1000, 100

#: How many Queries of 1 MB the status walk makes before it says `undetermined`.
MAX_WALK = 3

_ORDERS = ("asc", "desc")
_JSON = {"Content-Type": "application/json"}


class ServiceUnavailableError(ChaliceViewError):
    """503 in Chalice's error shape: the caller may come again."""

    STATUS_CODE = 503


class EventsQuery(msgspec.Struct, frozen=True):
    """The parsed query string of `/products/{serial}/events`."""

    type: str | None
    since: str | None  # inclusive, as positions begin
    until: str | None  # exclusive
    order: str
    limit: int
    after: str | None

    def identity(self, serial: str) -> tuple[str | None, ...]:
        """What a cursor belongs to."""
        return _identity(serial, self.type, self.since, self.until, self.order)


@contextmanager
def http_errors() -> Iterator[None]:
    """Turn our errors into Chalice's.

    Inside the view, because Chalice turns any other exception into a 500 before middleware sees it.
    """
    try:
        yield
    except InvalidRequestError as exc:
        raise BadRequestError(str(exc)) from exc
    except ProductNotFoundError as exc:
        raise NotFoundError(str(exc)) from exc
    except StorageError as exc:
        raise ServiceUnavailableError("the history does not answer; try again in a moment") from exc


def product(request: Request, serial: str, history: History, now: datetime | None = None) -> Response:
    """`GET /products/{serial}`: status, anomalies and the newest events."""
    serial = _serial(serial)
    _parameters(request, ())
    instant = _instant_of(now or datetime.now(timezone.utc))
    page = history.page(serial, limit=NEWEST + 1)
    if not page.events:
        raise ProductNotFoundError(serial)
    shown, before = page.events, None
    if page.last_read is not None or len(shown) > NEWEST:
        shown, before = shown[:-1], shown[-1]
    reading = lifecycle.read(shown, before, instant)
    status = _status(history, serial, page, instant)
    following = None
    if before is not None:
        cursor = cursors.encode(shown[-1].position, _identity(serial, None, None, None, "desc"))
        following = f"{quote(serial, safe='')}/events?{urlencode({'cursor': cursor})}"
    return _json(
        {
            "serial": serial,
            "status": status.status,
            "since": status.since,
            "anomalies": reading.anomalies,
            "history": [_shown(event, reading.voided_by) for event in shown],
            "next": following,
        }
    )


def product_events(request: Request, serial: str, history: History) -> Response:
    """`GET /products/{serial}/events`: one page, filtered and in either order."""
    serial = _serial(serial)
    query = parse_events_query(request, serial)
    # One more than asked for tells whether there is a next page.  With a filter DynamoDB counts what it
    # read, so there the page is what one Query of 1 MB finds.
    page = history.page(
        serial,
        limit=query.limit + 1 if query.type is None else None,
        newest_first=query.order == "desc",
        type_=query.type,
        since=query.since,
        until=query.until,
        after=query.after,
    )
    shown = page.events[: query.limit]
    following = None
    if len(page.events) > query.limit:
        following = _next_events(query, serial, shown[-1].position)
    elif page.last_read is not None:
        following = _next_events(query, serial, page.last_read)
    elif not shown and query.after is None and not history.page(serial, limit=1).events:
        raise ProductNotFoundError(serial)
    return _json({"serial": serial, "events": [_shown(event, {}) for event in shown], "next": following})


def health(history: History) -> Response:
    """`GET /health`: 200 when the history table answers, 503 with the reason when not."""
    try:
        history.page("health", limit=1)
    except StorageError as exc:
        return _json({"status": "unavailable", "reason": str(exc)}, 503)
    return _json({"status": "ok"})


def parse_events_query(request: Request, serial: str) -> EventsQuery:
    """Read the query string.  Raises InvalidRequestError with a sentence."""
    given = _parameters(request, ("type", "since", "until", "order", "limit", "cursor"))
    type_ = given.get("type")
    if type_ is not None and not events.is_type(type_):
        raise InvalidRequestError(f"type: expected {events.TYPE_RULE}, got {_quoted(type_)}")
    order = given.get("order", "desc")
    if order not in _ORDERS:
        raise InvalidRequestError(f"order: expected asc or desc, got {_quoted(order)}")
    since, until = _moment(given, "since"), _moment(given, "until")
    if since is not None and until is not None and since > until:
        raise InvalidRequestError("since: lies after until, so nothing can match")
    after = None
    if "cursor" in given:
        after = cursors.decode(given["cursor"], _identity(serial, type_, since, until, order))
        if not (since or "") <= after < (until or "9"):
            raise InvalidRequestError("cursor: lies outside since and until; start again without it")
    return EventsQuery(type_, since, until, order, _limit(given), after)


def _status(history: History, serial: str, newest: Page, instant: str) -> lifecycle.Status:
    """The product's status, from the page that is read already or from further back."""
    gave_up = False

    def newest_first() -> Iterator[StoredEvent]:
        nonlocal gave_up
        page = newest
        yield from page.events
        cut_by_size = len(page.events) <= NEWEST and page.last_read is not None
        for _ in range(MAX_WALK - 1 if cut_by_size else MAX_WALK):
            if page.last_read is None:
                return
            page = history.page(serial, limit=None, after=page.last_read)
            yield from page.events
        gave_up = page.last_read is not None

    status = lifecycle.determine_status(newest_first(), instant)
    if gave_up and status.status == lifecycle.UNKNOWN:
        return lifecycle.Status(lifecycle.UNDETERMINED, None)
    return status


def _next_events(query: EventsQuery, serial: str, position: str) -> str:
    given = {
        "type": query.type,
        "since": query.since,
        "until": query.until,
        "order": query.order,
        "limit": str(query.limit),
        "cursor": cursors.encode(position, query.identity(serial)),
    }
    return "?" + urlencode({name: value for name, value in given.items() if value is not None})


def _identity(
    serial: str, type_: str | None, since: str | None, until: str | None, order: str
) -> tuple[str | None, ...]:
    return (serial, type_, since, until, order)


def _serial(raw: str) -> str:
    """The serial of a path; API Gateway leaves path parameters percent-encoded."""
    serial = unquote(raw)
    if not events.is_serial(serial):
        raise InvalidRequestError(f"serial: expected {events.SERIAL_RULE}, got {_quoted(serial)}")
    return serial


def _parameters(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """The query string as a dict.  A parameter we do not know is refused: ignored, it would mislead."""
    query = request.query_params
    if query is None:
        return {}
    given: dict[str, str] = {}
    for name in query:
        if name not in known:
            expected = f"expected {', '.join(known)}" if known else "none are expected here"
            raise InvalidRequestError(f"no such parameter {_quoted(name)}; {expected}")
        values = query.getlist(name)
        if len(values) != 1:
            raise InvalidRequestError(f"{name}: given {len(values)} times, expected once")
        given[name] = values[0]
    return given


def _limit(given: dict[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequestError(f"limit: expected a number from 1 to {MAX_LIMIT}, got {_quoted(text)}")
    return int(text)


def _moment(given: dict[str, str], name: str) -> str | None:
    if name not in given:
        return None
    text = given[name]
    try:
        return events.instant(text).prefix
    except ValueError as exc:
        # A plus sign that was not percent-encoded arrives as a space.
        hint = " (a + in a query string is written %2B)" if " " in text else ""
        raise InvalidRequestError(f"{name}: {exc}{hint}") from exc


def _instant_of(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _shown(event: StoredEvent, voided_by: dict[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "position": event.position,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "event_id": event.event_id,
        "source": event.source,
        "metadata": msgspec.Raw(event.metadata.encode()),
        "recorded_at": _recorded(event.recorded_at_ms),
    }
    if event.position in voided_by:
        shown["voided_by"] = voided_by[event.position]
    return shown


def _recorded(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(
    body: object, status: int = 200, to_json: Callable[[object], bytes] = msgspec.json.encode
) -> Response:
    return Response(body=to_json(body).decode(), status_code=status, headers=dict(_JSON))


def _quoted(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:57] + "...")
