"""What the history says about a product, ready to be represented: the model behind every representation.

Knows neither HTTP nor JSON nor HTML.  Reads are eventually consistent: half the price, and a lookup that
comes within a moment of its event may come again.

Every answer knows all of the product's voids, wherever in the history they stand: the table keeps a marker
of each behind the events.  A product's own answer finds them in its first Query, and makes a second one where
there are some; a page of events makes one for them.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from chalicelib.api.queries import EventsQuery
from chalicelib.api.walk import FIRST, Walk
from chalicelib.domain import events, instants, lifecycle
from chalicelib.domain.voids import Voids
from chalicelib.errors import InvalidRequestError, ProductNotFoundError, RequestError
from chalicelib.tables.history import History, Page, StoredEvent

T = TypeVar("T")

#: Events in a product's own answer: one fewer than are read, which tells whether there are more.
NEWEST = FIRST - 1


class ProductView(msgspec.Struct, frozen=True):
    """A product: what it is, what is odd, and its newest events, newest first."""

    serial: str
    status: lifecycle.Status
    reading: lifecycle.Reading
    events: list[StoredEvent]
    following: str | None  # the position that the rest lies behind; None when this is all
    now: str  # the instant it was read for, as positions begin


class EventPage(msgspec.Struct, frozen=True):
    """Some of a product's events, in the order asked for."""

    serial: str
    events: list[StoredEvent]
    reading: lifecycle.Reading  # anomalies only where they were asked for
    following: str | None


AnyView = TypeVar("AnyView", ProductView, EventPage)


def first(view: AnyView, count: int) -> AnyView:
    """Return the view with its first `count` events alone; the next page goes on behind them."""
    shown = view.events[:count]
    positions = {event.position for event in shown}
    anomalies = [anomaly for anomaly in view.reading.anomalies if anomaly.position in positions]
    reading = msgspec.structs.replace(view.reading, anomalies=anomalies)
    return msgspec.structs.replace(view, events=shown, reading=reading, following=shown[-1].position)


def first_known(serials: Iterable[str], look_up: Callable[[str], T]) -> T:
    """Return what `look_up` returns for the first of the serials under which something is stored.

    Raises the first error of a serial, when all of them are unknown, or strangers to the cursor given.
    """
    failure: RequestError | None = None
    for serial in serials:
        try:
            return look_up(serial)
        except (ProductNotFoundError, InvalidRequestError) as exc:
            failure = failure or exc
    raise failure or InvalidRequestError("serial: names nothing")


def product(history: History, serial: str, now: datetime) -> ProductView:
    """The product as of `now`.  Raises ProductNotFoundError and StorageError.

    One Query of 51 events, one more where the product has voids, and up to MAX_WALK larger ones while the
    status is undecided: it does not get slower with a longer history.
    """
    instant = instants.prefix(now)
    page, marked = history.newest(serial, FIRST)
    if not page.events:
        raise ProductNotFoundError(serial)
    voids = Voids(instant, marked.voids, are_all=marked.are_all)
    walk = Walk(history, serial, page, voids, is_first_query=True)
    status = _status(walk, voids)
    is_whole = page.last_read is None and len(page.events) <= NEWEST
    shown = page.events[:NEWEST]
    reading = lifecycle.read(
        shown, walk.read, voids, from_first=walk.is_over, to_last=True, is_whole=is_whole
    )
    return ProductView(
        serial=serial,
        status=status,
        reading=reading,
        events=shown,
        following=None if is_whole else shown[-1].position,
        now=instant,
    )


def event_page(history: History, serial: str, query: EventsQuery, now: datetime) -> EventPage:
    """One page of a product's events as of `now`.  Raises ProductNotFoundError and StorageError."""
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
    following = page.last_read
    if len(page.events) > query.limit:
        following = shown[-1].position
    elif following is None and not shown and query.after is None and not history.page(serial, limit=1).events:
        raise ProductNotFoundError(serial)
    if not shown:
        return EventPage(serial, shown, lifecycle.Reading({}), following)
    marked = history.voids(serial)
    voids = Voids(instants.prefix(now), marked.voids, are_all=marked.are_all)
    voids.add(shown)
    if query.anomalies:
        reading = _anomalies(history, serial, query, page, voids)
    else:
        reading = lifecycle.voided(shown, voids)
    return EventPage(serial, shown, reading, following)


def _status(walk: Walk, voids: Voids) -> lifecycle.Status:
    """The product's status, from what is read already or from further back."""
    if not voids.are_all:
        return lifecycle.Status(lifecycle.UNDETERMINED, None)
    found = lifecycle.determine_status(walk.microseconds(), voids)
    if found is not None:
        return found
    # The end of what was read is not the end of its last microsecond, and only all events of it decide.
    return lifecycle.Status(lifecycle.UNKNOWN if walk.is_over else lifecycle.UNDETERMINED, None)


def _anomalies(
    history: History, serial: str, query: EventsQuery, page: Page, voids: Voids
) -> lifecycle.Reading:
    """What is odd about a page of events, with the status before them as context.

    Reads the rest of the page's first and last microsecond, and walks back to the newest event before the
    page that gives a status and is not taken out.
    """
    ascending = query.order == "asc"
    shown, beyond = page.events[: query.limit], page.events[query.limit :]
    shown = shown[::-1] if ascending else shown
    if not voids.are_all:
        return lifecycle.read(shown, shown, voids, from_first=False, to_last=False, is_whole=False)
    is_last_page = page.last_read is None and not beyond
    newest, oldest = shown[0].position, shown[-1].position
    if ascending:
        to_last = is_last_page or (bool(beyond) and not _is_one_microsecond(newest, beyond[0].position))
        from_first = query.since is None and query.after is None
    else:
        to_last = query.after is None or not _is_one_microsecond(newest, query.after)
        from_first = query.since is None and is_last_page
    newer: list[StoredEvent] = []
    if not to_last:
        instant = events.prefix_of(newest)
        rest = history.page(
            serial, limit=None, newest_first=False, since=instant, until=f"{instant}~", after=newest
        )
        newer, to_last = rest.events[::-1], rest.last_read is None
        voids.add(newer)
    inner = [event for event in shown if not _is_one_microsecond(event.position, oldest)]
    begun = Page(shown[len(inner) :], None if from_first else oldest)
    walk = Walk(history, serial, begun, voids, is_first_query=False)
    older = walk.microseconds()
    next(older, None)  # the oldest microsecond shown
    lifecycle.determine_status(older, voids)  # reads as far as it takes
    return lifecycle.read(
        shown,
        [*newer, *inner, *walk.read],
        voids,
        from_first=walk.is_over,
        to_last=to_last,
        is_whole=is_last_page and (query.since, query.until, query.after) == (None, None, None),
    )


def _is_one_microsecond(one: str, other: str) -> bool:
    """Whether two positions begin with the same instant."""
    return events.prefix_of(one) == events.prefix_of(other)
