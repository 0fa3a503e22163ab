"""What the history says about a product, ready to be represented: the model behind every representation.

Knows neither HTTP nor JSON nor HTML.  Reads are eventually consistent: half the price, and a lookup that
comes within a moment of its event may come again.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

import msgspec

from chalicelib.api.queries import EventsQuery
from chalicelib.domain import instants, lifecycle
from chalicelib.errors import InvalidRequestError, ProductNotFoundError, RequestError
from chalicelib.tables.history import History, Page, StoredEvent

T = TypeVar("T")

#: Events in a product's own answer.
NEWEST = 50

#: How many Queries of 1 MB the status walk makes before it says `undetermined`.
MAX_WALK = 3


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
    following: str | None


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

    One Query of 51 events, and up to MAX_WALK larger ones while the status is undecided: it does not get
    slower with a longer history.
    """
    instant = instants.prefix(now)
    page = history.page(serial, limit=NEWEST + 1)
    if not page.events:
        raise ProductNotFoundError(serial)
    shown, before = page.events, None
    if page.last_read is not None or len(shown) > NEWEST:
        shown, before = shown[:-1], shown[-1]
    return ProductView(
        serial=serial,
        status=_status(history, serial, page, instant),
        reading=lifecycle.read(shown, before, instant),
        events=shown,
        following=shown[-1].position if before is not None else None,
        now=instant,
    )


def event_page(history: History, serial: str, query: EventsQuery) -> EventPage:
    """One page of a product's events.  Raises ProductNotFoundError and StorageError."""
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
    return EventPage(serial, shown, following)


class _GaveUpError(Exception):
    """The walk has read as much as it may, and there is more."""


def _status(history: History, serial: str, newest: Page, instant: str) -> lifecycle.Status:
    """The product's status, from the page that is read already or from further back."""

    def newest_first() -> Iterator[StoredEvent]:
        page = newest
        yield from page.events
        cut_by_size = len(page.events) <= NEWEST and page.last_read is not None
        for _ in range(MAX_WALK - 1 if cut_by_size else MAX_WALK):
            if page.last_read is None:
                return
            page = history.page(serial, limit=None, after=page.last_read)
            yield from page.events
        if page.last_read is not None:
            # Raised, not returned: the end of what was read is not the end of its last microsecond, and
            # only all events of a microsecond together decide.
            raise _GaveUpError

    try:
        return lifecycle.determine_status(newest_first(), instant)
    except _GaveUpError:
        return lifecycle.Status(lifecycle.UNDETERMINED, None)
