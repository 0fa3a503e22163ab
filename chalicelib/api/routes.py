"""The routes of the REST API: what is asked is parsed, looked up, and represented."""

from collections.abc import Callable
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import msgspec
from chalice.app import NotFoundError, Request, Response

from chalicelib.api import negotiation, queries, responses, size
from chalicelib.api.queries import EventsQuery
from chalicelib.domain import events
from chalicelib.errors import InvalidRequestError, StorageError
from chalicelib.tables.history import History
from chalicelib.text import quoted

if TYPE_CHECKING:
    from chalicelib.api.views import AnyView, EventPage


def home(request: Request) -> Response:
    """`GET /`: the search box; with `?serial=` a redirect to that product."""
    given = queries.parameters(request, ("serial",))
    serial = given.get("serial", "").strip()
    if serial:
        # An EPC's slashes do not travel well in a path, so the way leads to the serial that it stands for.
        serial = next(queries.serials_of(serial))
        where = f"{responses.root_reference(request)}products/{quote(serial, safe='')}"
        return Response("", {"Location": where, "Content-Type": "text/plain"}, 303)
    from chalicelib.api import pages

    return responses.respond("html", pages.home(responses.root_reference(request)))


def product(request: Request, serial: str, history: History, now: datetime | None = None) -> Response:
    """`GET /products/{serial}`: status, anomalies and the newest events."""
    from chalicelib.api import representations, views

    named = queries.format_of(queries.parameters(request, ("format",)), negotiation.PRODUCT_FORMATS)
    format_ = named or negotiation.negotiated(request.headers.get("accept"), negotiation.PRODUCT_FORMATS)
    instant = now or datetime.now(timezone.utc)
    view = views.first_known(
        queries.serials_of(unquote(serial)), lambda each: views.product(history, each, instant)
    )
    serial = view.serial
    to_events = f"{'../' if responses.ends_in_slash(request) else ''}{quote(serial, safe='')}/events"
    # On the page the older events are loaded in place, and what is odd about them belongs there, too.
    rest = EventsQuery(format=named, anomalies=format_ == "html")

    def following(view: views.ProductView) -> str | None:
        return None if view.following is None else to_events + rest.following(serial, view.following)

    if format_ == "html":
        from chalicelib.api import pages

        there = following(view)
        return responses.respond("html", pages.product(view, there, responses.root_reference(request)), there)
    if format_ == "epcis":
        view, body = _fitted(view, _epcis)
    else:
        view, body = _fitted(view, lambda view: representations.product_json(view, following(view)))
    file_name = responses.file_name(serial, format_, len(view.events) if view.following else None)
    return responses.respond(format_, body, following(view), file_name)


def product_events(request: Request, serial: str, history: History, now: datetime | None = None) -> Response:
    """`GET /products/{serial}/events`: one page, filtered and in either order."""
    from chalicelib.api import representations, views

    instant = now or datetime.now(timezone.utc)

    def look_up(serial: str) -> "tuple[EventsQuery, str, EventPage]":
        query = queries.events_query(request, serial)
        format_ = query.format or negotiation.negotiated(
            request.headers.get("accept"), negotiation.EVENTS_FORMATS
        )
        if format_ == "html":
            from chalicelib.api import timeline

            query = msgspec.structs.replace(query, limit=min(query.limit, timeline.MAX_EVENTS))
        if query.anomalies and format_ == "epcis":
            raise InvalidRequestError(
                "anomalies: EPCIS has no field for them; leave it out, or choose another form"
            )
        return query, format_, views.event_page(history, serial, query, instant)

    query, format_, page = views.first_known(queries.serials_of(unquote(serial)), look_up)
    serial = page.serial

    def following(page: views.EventPage) -> str | None:
        return None if page.following is None else query.following(serial, page.following)

    if format_ == "html":
        from chalicelib.api import pages

        there = following(page)
        return responses.respond(
            "html", pages.events(page, query, there, responses.root_reference(request)), there
        )
    represent: dict[str, Callable[[views.EventPage], str]] = {
        "csv": lambda page: representations.events_csv(page, query.anomalies),
        "ndjson": lambda page: representations.events_ndjson(page, query.anomalies),
        "epcis": _epcis,
        "json": lambda page: representations.events_json(page, following(page), query.anomalies),
    }
    page, body = _fitted(page, represent[format_])
    is_part = page.following is not None or not query.is_whole
    file_name = responses.file_name(serial, format_, len(page.events) if is_part else None)
    return responses.respond(format_, body, following(page), file_name)


def health(history: History) -> Response:
    """`GET /health`: 200 when the history table answers, 503 with the reason's gist when not.

    Everybody may ask; the service's own words are for the log.
    """
    try:
        history.page("health", limit=1)
    except StorageError as exc:
        responses.log_cause(exc)
        return responses.json_response({"status": "unavailable", "reason": exc.gist()}, 503)
    return responses.json_response({"status": "ok"})


def asset(name: str) -> Response:
    """`GET /assets/{name}`: a style sheet, script or picture; its name changes with its content."""
    from chalicelib.api import pages

    found = pages.asset(name)
    if found is None:
        raise NotFoundError(f"no asset {quoted(name)}")
    forever = {"Content-Type": found.content_type, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.text, dict(forever))


def elsewhere() -> Response:
    """Every other address: 404 in our form."""
    raise NotFoundError("there is nothing at this address; GET /openapi.json says what there is")


def openapi() -> Response:
    """`GET /openapi.json`: the description that the tests hold this API to."""
    return Response(_openapi(), {"Content-Type": "application/json"})


def _epcis(view: "AnyView") -> str:
    from chalicelib.api.representations import recorded_at
    from chalicelib.epcis import export

    return export.document(view.events, [recorded_at(event) for event in view.events], view.reading.voided)


def _fitted(view: "AnyView", represent: "Callable[[AnyView], str]") -> "tuple[AnyView, str]":
    """Represent as many of the view's events as fit into a response; the next page has the others.

    An event alone always fits: DynamoDB keeps 400 KB of it, and no form takes more than twelve times that.
    """
    from chalicelib.api import views

    body = represent(view)
    while len(view.events) > 1 and not size.fits(body):
        view = views.first(view, len(view.events) // 2)
        body = represent(view)
    return view, body


def event_schema() -> Response:
    """`GET /event.schema.json`: what an event must look like, as JSON Schema."""
    return Response(_event_schema(), {"Content-Type": "application/schema+json"})


@cache
def _event_schema() -> str:
    return Path(events.__file__).with_name("event.schema.json").read_text(encoding="utf-8")


@cache
def _openapi() -> str:
    return Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")
