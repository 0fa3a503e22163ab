"""What every response of the API has in common: headers, error bodies, ETags.

Compression is the gateway's: API Gateway compresses what is larger than `minimum_compression_size`
(.chalice/config.json) for callers that accept it, after the handler, without a base64 detour through
Lambda's response and without our CPU time.  `chalice local` has no gateway and sends answers as they are.
ETags are weak because of it: a strong one would have to differ with the encoding (RFC 9110, 8.8.3), which
is not chosen here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

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

from chalicelib.api import negotiation
from chalicelib.errors import (
    AccessUnavailableError,
    ConfigurationError,
    InvalidRequestError,
    LifecycleError,
    NotAcceptableError,
    NotAllowedError,
    NotAuthenticatedError,
    ProductNotFoundError,
    StorageError,
    TooLargeError,
    UnsupportedBodyError,
)

#: The route of every address that no other route has.
ELSEWHERE = "/{proxy+}"

#: The newest answer is always asked for, and costs nothing to send again while it is the same; nothing is
#: kept where others could read it.
_CACHE_CONTROL = "private, no-cache"

#: Answers differ with these.  Accept-Encoding is the gateway's to add.
_VARY = "Accept, Authorization"

#: How a file's name ends, where that is not the format's name.
_ENDINGS = {"epcis": "jsonld"}

_SECURITY_HEADERS = {
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


class TooLargeViewError(ChaliceViewError):
    """413 in Chalice's error shape."""

    STATUS_CODE = 413


class UnsupportedBodyViewError(ChaliceViewError):
    """415 in Chalice's error shape."""

    STATUS_CODE = 415


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
    except TooLargeError as exc:
        raise TooLargeViewError(str(exc)) from exc
    except UnsupportedBodyError as exc:
        raise UnsupportedBodyViewError(str(exc)) from exc
    except NotAuthenticatedError as exc:
        raise UnauthorizedError(str(exc)) from exc
    except NotAllowedError as exc:
        raise ForbiddenError(str(exc)) from exc
    except ProductNotFoundError as exc:
        raise NotFoundError(str(exc)) from exc
    except ConfigurationError as exc:
        log_cause(exc)
        raise ChaliceViewError("the API is not set up as it should be; its log says what is wrong") from exc
    except AccessUnavailableError as exc:
        log_cause(exc)
        raise ServiceUnavailableError("tokens cannot be checked just now; try again in a moment") from exc
    except StorageError as exc:
        log_cause(exc)
        raise ServiceUnavailableError("the history does not answer; try again in a moment") from exc


def finished(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """The answer to this request with everything that concerns every answer.

    Chalice's middleware, so that its own refusals (405, 500) come by here too: a browser gets them as a
    page, everybody an ETag, who has the same answer already gets a 304, and who asks with HEAD no body.
    """
    response = get_response(request)
    refused = response.status_code >= 400 and isinstance(response.body, dict)
    if refused and negotiation.prefers_html(request.headers.get("accept")):
        response = _refusal_page(request, response)
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Cache-Control", "no-store" if response.status_code >= 400 else _CACHE_CONTROL)
    headers.setdefault("Vary", _VARY)
    if response.status_code == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    if response.status_code == 200 and headers["Cache-Control"] != "no-store":
        response = _with_etag(request, response)
    return Response("", response.headers, response.status_code) if request.method == "HEAD" else response


def _refusal_page(request: Request, refused: Response) -> Response:
    """What a person reads instead of the JSON of a refusal."""
    from chalicelib.api import pages, queries

    page = pages.refusal(
        refused.status_code,
        str(refused.body["Message"]),
        root_reference(request),
        typed=queries.typed(request),
        is_product=request.path.startswith("/products/"),
    )
    return Response(page, {**refused.headers, **_html_headers()}, refused.status_code)


def log_cause(exc: LifecycleError) -> None:
    from chalicelib.telemetry import logs

    logs.because(exc)


def _with_etag(request: Request, response: Response) -> Response:
    tag = f'W/"{blake2b(response.body.encode(), digest_size=16).hexdigest()}"'
    response.headers["ETag"] = tag
    known = str(request.headers.get("if-none-match", ""))
    if known.strip() == "*" or tag[2:] in [each.strip().removeprefix("W/") for each in known.split(",")]:
        kept = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return Response("", kept, 304)
    return response


def respond(format_: str, body: str, following: str | None = None, file_name: str | None = None) -> Response:
    """The answer of this format; `file_name` is what it is called where it is saved."""
    headers = _html_headers() if format_ == "html" else {"Content-Type": negotiation.FORMATS[format_]}
    if format_ == "csv":
        headers["Content-Type"] += "; charset=utf-8; header=present"
    if file_name is not None:
        # Inline: a browser shows what it can show, and a `download` link still saves it under this name.
        headers["Content-Disposition"] = f'inline; filename="{file_name}"'
    if following is not None:
        headers["Link"] = f'<{following}>; rel="next"'
    return Response(body, dict(headers))


def file_name(serial: str, format_: str, part: int | None) -> str:
    """What a file of a product's events is called.

    `part` is how many events it holds where there are more; None where it has them all.
    """
    # No colon: Windows allows none in a file's name.
    extent = "" if part is None else f"-part-{part}-events"
    return f"{serial.replace(':', '_')}{extent}.{_ENDINGS.get(format_, format_)}"


def _html_headers() -> dict[str, str]:
    return {"Content-Type": "text/html; charset=utf-8", **_SECURITY_HEADERS}


def json_response(body: object, status: int = 200) -> Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Response(msgspec.json.encode(body).decode(), dict(headers), status)


def root_reference(request: Request) -> str:
    """What a relative reference begins with to reach the API's root from this request's address.

    Relative, so that it holds under an API Gateway stage or a custom domain's base path, which the
    handler is not told of reliably.
    """
    if request.path == "/":
        path = str(request.context.get("path", "/"))
        # The root without its slash, as in https://…/prod: references begin beside it.
        return "" if path.endswith("/") else path.rpartition("/")[2] + "/"
    path = request.path
    if path == ELSEWHERE:
        (rest,) = (request.uri_params or {"proxy": ""}).values()
        path = "/" + rest.strip("/")
    return "../" * (path.count("/") - 1 + ends_in_slash(request))


def ends_in_slash(request: Request) -> bool:
    """Whether the address has a slash at its end.

    API Gateway routes `/products/X/` as it does `/products/X`, and so does Chalice's server; references
    begin one level deeper there.
    """
    return str(request.context.get("path", "")).endswith("/")
