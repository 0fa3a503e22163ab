"""The routes of the REST API: what is asked is parsed, looked up, and represented."""

from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from urllib.parse import quote

from chalice.app import NotFoundError, Request, Response

from chalicelib.api import negotiation, queries, responses
from chalicelib.api.queries import EventsQuery
from chalicelib.domain import events
from chalicelib.errors import StorageError
from chalicelib.tables.history import History, StoredEvent
from chalicelib.text import quoted


def home(request: Request) -> Response:
    """`GET /`: the search box; with `?serial=` a redirect to that product."""
    given = queries.parameters(request, ("serial",))
    serial = given.get("serial", "").strip()
    if serial:
        queries.serial_of(quote(serial, safe=""))  # refused here, not after the detour
        where = f"{responses.root_reference(request)}products/{quote(serial, safe='')}"
        return Response("", {"Location": where, "Content-Type": "text/plain"}, 303)
    from chalicelib.api import pages

    return responses.respond("html", pages.home(responses.root_reference(request)))


def product(request: Request, serial: str, history: History, now: datetime | None = None) -> Response:
    """`GET /products/{serial}`: status, anomalies and the newest events."""
    from chalicelib.api import representations, views

    serial = queries.serial_of(serial)
    named = queries.format_of(queries.parameters(request, ("format",)), negotiation.PRODUCT_FORMATS)
    format_ = named or negotiation.negotiated(request.headers.get("accept"), negotiation.PRODUCT_FORMATS)
    view = views.product(history, serial, now or datetime.now(timezone.utc))
    following = None
    if view.following is not None:
        rest = EventsQuery(format=named).following(serial, view.following)
        following = (
            f"{'../' if responses.ends_in_slash(request) else ''}{quote(serial, safe='')}/events{rest}"
        )
    if format_ == "html":
        from chalicelib.api import pages

        return responses.respond(
            "html", pages.product(view, following, responses.root_reference(request)), following
        )
    if format_ == "epcis":
        return responses.respond("epcis", _epcis(view.events), following)
    return responses.respond("json", representations.product_json(view, following), following)


def product_events(request: Request, serial: str, history: History) -> Response:
    """`GET /products/{serial}/events`: one page, filtered and in either order."""
    from chalicelib.api import representations, views

    serial = queries.serial_of(serial)
    query = queries.events_query(request, serial)
    format_ = query.format or negotiation.negotiated(
        request.headers.get("accept"), negotiation.EVENTS_FORMATS
    )
    page = views.event_page(history, serial, query)
    following = query.following(serial, page.following) if page.following is not None else None
    if format_ == "html":
        from chalicelib.api import pages

        return responses.respond(
            "html", pages.events(page, query, following, responses.root_reference(request)), following
        )
    if format_ == "csv":
        return responses.respond("csv", representations.events_csv(page), following)
    if format_ == "ndjson":
        return responses.respond("ndjson", representations.events_ndjson(page), following)
    if format_ == "epcis":
        return responses.respond("epcis", _epcis(page.events), following)
    return responses.respond("json", representations.events_json(page, following), following)


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


def openapi() -> Response:
    """`GET /openapi.json`: the description that the tests hold this API to."""
    return Response(_openapi(), {"Content-Type": "application/json"})


def _epcis(events: list[StoredEvent]) -> str:
    from chalicelib.api.representations import recorded_at
    from chalicelib.epcis import export

    return export.document(events, [recorded_at(event) for event in events])


def event_schema() -> Response:
    """`GET /event.schema.json`: what an event must look like, as JSON Schema."""
    return Response(_event_schema(), {"Content-Type": "application/schema+json"})


@cache
def _event_schema() -> str:
    return Path(events.__file__).with_name("event.schema.json").read_text(encoding="utf-8")


@cache
def _openapi() -> str:
    return Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")
