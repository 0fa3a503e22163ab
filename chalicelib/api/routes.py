"""The REST API: requests in, answers out.

What is asked is parsed in queries.py, looked up in views.py, and written by representations.py, pages.py
and epcis.py; here these are put together, and every answer gets what HTTP expects of it.

Compression is the gateway's: API Gateway compresses what is larger than `minimum_compression_size`
(.chalice/config.json) for callers that accept it, after the handler, without a base64 detour through
Lambda's response and without our CPU time.  `chalice local` has no gateway and sends answers as they are.
ETags are weak because of it: a strong one would have to differ with the encoding (RFC 9110, 8.8.3), which
is not chosen here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

import msgspec
from chalice.app import (
    BadRequestError,
    ChaliceViewError,
    ForbiddenError,
    NotFoundError,
    Request,
    Response,
    UnauthorizedError,
)

from chalicelib.api import queries
from chalicelib.api.queries import EventsQuery
from chalicelib.errors import (
    ConfigurationError,
    InvalidRequestError,
    LifecycleError,
    NotAcceptableError,
    NotAllowedError,
    NotAuthenticatedError,
    ProductNotFoundError,
    StorageError,
)
from chalicelib.tables.history import History, StoredEvent

#: The newest answer is always asked for, and costs nothing to send again while it is the same; nothing is
#: kept where others could read it.
_CACHE_CONTROL = "private, no-cache"

#: Answers differ with these.  Accept-Encoding is the gateway's to add.
_VARY = "Accept, Authorization"

_BARRED = {
    # A page loads what it was shipped with and nothing else; metadata may hold what it likes.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


class NotAcceptableViewError(ChaliceViewError):
    """406 in Chalice's error shape."""

    STATUS_CODE = 406


class ServiceUnavailableError(ChaliceViewError):
    """503 in Chalice's error shape: the caller may come again."""

    STATUS_CODE = 503


@contextmanager
def http_errors() -> Iterator[None]:
    """Turn our errors into Chalice's.

    Inside the view, because Chalice turns any other exception into a 500 before middleware sees it.
    """
    try:
        yield
    except InvalidRequestError as exc:
        raise BadRequestError(str(exc)) from exc
    except NotAcceptableError as exc:
        raise NotAcceptableViewError(str(exc)) from exc
    except NotAuthenticatedError as exc:
        raise UnauthorizedError(str(exc)) from exc
    except NotAllowedError as exc:
        raise ForbiddenError(str(exc)) from exc
    except ProductNotFoundError as exc:
        raise NotFoundError(str(exc)) from exc
    except ConfigurationError as exc:
        _tell(exc)
        raise ChaliceViewError("the API is not set up as it should be; its log says what is wrong") from exc
    except StorageError as exc:
        _tell(exc)
        raise ServiceUnavailableError("the history does not answer; try again in a moment") from exc


def home(request: Request) -> Response:
    """`GET /`: where a person begins; `?serial=` leads on to that product."""
    given = queries.parameters(request, ("serial",))
    serial = given.get("serial", "").strip()
    if serial:
        queries.serial_of(quote(serial, safe=""))  # refused here, not after the detour
        where = f"{_here(request)}products/{quote(serial, safe='')}"
        return Response("", {"Location": where, "Content-Type": "text/plain"}, 303)
    from chalicelib.api import pages

    return _answer("html", pages.home(_here(request)))


def product(request: Request, serial: str, history: History, now: datetime | None = None) -> Response:
    """`GET /products/{serial}`: status, anomalies and the newest events."""
    from chalicelib.api import representations, views

    serial = queries.serial_of(serial)
    named = queries.format_of(queries.parameters(request, ("format",)), queries.PRODUCT_FORMATS)
    format_ = named or queries.negotiated(request.headers.get("accept"), queries.PRODUCT_FORMATS)
    story = views.story(history, serial, now or datetime.now(timezone.utc))
    following = None
    if story.following is not None:
        rest = EventsQuery(format=named).following(serial, story.following)
        following = f"{'../' if _ends_in_slash(request) else ''}{quote(serial, safe='')}/events{rest}"
    if format_ == "html":
        from chalicelib.api import pages

        return _answer("html", pages.product(story, following, _here(request)), following)
    if format_ == "epcis":
        return _answer("epcis", _epcis(story.events), following)
    return _answer("json", representations.story_json(story, following), following)


def product_events(request: Request, serial: str, history: History) -> Response:
    """`GET /products/{serial}/events`: one page, filtered and in either order."""
    from chalicelib.api import representations, views

    serial = queries.serial_of(serial)
    query = queries.events_query(request, serial)
    format_ = query.format or queries.negotiated(request.headers.get("accept"), queries.EVENTS_FORMATS)
    page = views.event_page(history, serial, query)
    following = query.following(serial, page.following) if page.following is not None else None
    if format_ == "html":
        from chalicelib.api import pages

        return _answer("html", pages.events(page, query, following, _here(request)), following)
    if format_ == "csv":
        return _answer("csv", representations.events_csv(page), following)
    if format_ == "ndjson":
        return _answer("ndjson", representations.events_ndjson(page), following)
    if format_ == "epcis":
        return _answer("epcis", _epcis(page.events), following)
    return _answer("json", representations.events_json(page, following), following)


def health(history: History) -> Response:
    """`GET /health`: 200 when the history table answers, 503 with the reason's gist when not.

    Everybody may ask; the service's own words are for the log.
    """
    try:
        history.page("health", limit=1)
    except StorageError as exc:
        _tell(exc)
        return _json({"status": "unavailable", "reason": exc.gist()}, 503)
    return _json({"status": "ok"})


def asset(name: str) -> Response:
    """`GET /assets/{name}`: a style sheet, script or picture; its name changes with its content."""
    from chalicelib.api import pages

    found = pages.asset(name)
    if found is None:
        raise NotFoundError(f"no asset {queries.quoted(name)}")
    forever = {"Content-Type": found.content_type, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.text, dict(forever))


def openapi() -> Response:
    """`GET /openapi.json`: the description that the tests hold this API to."""
    return Response(_openapi(), {"Content-Type": "application/json"})


def finished(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """The answer to this request with everything that concerns every answer.

    Chalice's middleware, so that its own refusals (405, 500) come by here too: a browser gets them as a
    page, everybody an ETag, who has the same answer already gets a 304, and who asks with HEAD no body.
    """
    response = get_response(request)
    refused = response.status_code >= 400 and isinstance(response.body, dict)
    if refused and queries.prefers_html(request.headers.get("accept")):
        from chalicelib.api import pages

        page = pages.refusal(response.status_code, str(response.body["Message"]), _here(request))
        response = Response(page, {**response.headers, **_html_headers()}, response.status_code)
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Cache-Control", "no-store" if response.status_code >= 400 else _CACHE_CONTROL)
    headers.setdefault("Vary", _VARY)
    if response.status_code == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    if response.status_code == 200 and headers["Cache-Control"] != "no-store":
        response = _unless_known(request, response)
    return Response("", response.headers, response.status_code) if request.method == "HEAD" else response


def _tell(exc: LifecycleError) -> None:
    from chalicelib.telemetry import logs

    logs.because(exc)


def _unless_known(request: Request, response: Response) -> Response:
    tag = f'W/"{blake2b(response.body.encode(), digest_size=16).hexdigest()}"'
    response.headers["ETag"] = tag
    known = str(request.headers.get("if-none-match", ""))
    if known.strip() == "*" or tag[2:] in [each.strip().removeprefix("W/") for each in known.split(",")]:
        kept = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return Response("", kept, 304)
    return response


def _answer(format_: str, body: str, following: str | None = None) -> Response:
    headers = _html_headers() if format_ == "html" else {"Content-Type": queries.FORMATS[format_]}
    if format_ == "csv":
        headers["Content-Type"] += "; charset=utf-8; header=present"
    if following is not None:
        headers["Link"] = f'<{following}>; rel="next"'
    return Response(body, dict(headers))


def _epcis(events: list[StoredEvent]) -> str:
    from chalicelib.api.representations import recorded_at
    from chalicelib.epcis import export

    return export.document(events, [recorded_at(event) for event in events])


def _html_headers() -> dict[str, str]:
    return {"Content-Type": "text/html; charset=utf-8", **_BARRED}


def _json(body: object, status: int = 200) -> Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Response(msgspec.json.encode(body).decode(), dict(headers), status)


@cache
def _openapi() -> str:
    return Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")


def _here(request: Request) -> str:
    """What a relative reference begins with to reach the API's root from this request's address.

    Relative, so that it holds under an API Gateway stage or a custom domain's base path, which the
    handler is not told of reliably.
    """
    depth = request.path.count("/") - 1
    if depth:
        return "../" * (depth + _ends_in_slash(request))
    path = str(request.context.get("path", "/"))
    # The root without its slash, as in https://…/prod: references begin beside it.
    return "" if path.endswith("/") else path.rpartition("/")[2] + "/"


def _ends_in_slash(request: Request) -> bool:
    """Whether the address has a slash at its end.

    API Gateway routes `/products/X/` as it does `/products/X`, and so does Chalice's server; references
    begin one level deeper there.
    """
    return str(request.context.get("path", "")).endswith("/")
