"""Who may ask and send: API tokens, checked inside the handler.

The only place that knows what a token is.  The same code guards AWS, `chalice local` and the test client; an
API Gateway authorizer would be a fourth function and would answer before our pages can.

    Authorization: Bearer lch_…        256 random bits; only its SHA-256 is stored (tables/access.py), so that
                                       neither the table nor the logs can be used to ask anything

`python -m ops token` makes, lists and revokes them.  Where the table does not answer, nobody gets an answer.
"""

import re
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import sha256
from typing import TYPE_CHECKING

from chalicelib import settings
from chalicelib.errors import NotAllowedError, NotAuthenticatedError
from chalicelib.tables.token import Token

if TYPE_CHECKING:
    from chalicelib.tables.token_cache import TokenCache

#: May read products' histories.
READ = "read"

#: May report events.
WRITE = "write"

#: May ask for reports over all products.
REPORTS = "reports"

SCOPES = (READ, WRITE, REPORTS)

#: Begins every token, so that one in the wrong place is recognised by people and by secret scanners.
PREFIX = "lch_"

#: Who asks when everybody may.
ANYBODY = Token(digest="", name="anybody", scopes=frozenset(SCOPES), created_at=0)

_DOES = {READ: "read", WRITE: "report events", REPORTS: "ask for reports"}
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)
_TOKEN = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")


def check(headers: Mapping[str, str], scope: str, tokens: "TokenCache", now: float | None = None) -> Token:
    """Return the token that a request carries.

    Raises NotAuthenticatedError without one, NotAllowedError for one that is wrong, expired or of another
    scope, AccessUnavailableError when the access table does not answer, ConfigurationError for an unusable
    setting.
    """
    if settings.is_open():
        from chalicelib.telemetry import logs

        logs.open_to_everybody()
        return ANYBODY
    header = headers.get("authorization")
    if header is None:
        raise NotAuthenticatedError("this needs a token: Authorization: Bearer <token>")
    bearer = _BEARER.fullmatch(header)
    if bearer is None:
        raise NotAuthenticatedError("the Authorization header is not of the form: Bearer <token>")
    # What cannot be a token is not looked up.
    token = tokens.find(digest(bearer[1])) if _TOKEN.fullmatch(bearer[1]) else None
    if token is None:
        raise NotAllowedError("this token is not valid here")
    now = time.time() if now is None else now
    if token.has_expired(now):
        raise NotAllowedError(f"the token {token.name} has expired; ask for a new one")
    if scope not in token.scopes:
        raise NotAllowedError(f"the token {token.name} may not {_DOES[scope]}")
    tokens.seen(token, datetime.fromtimestamp(now, timezone.utc).date().isoformat())
    return token


def check_reach(token: Token, serial: str) -> None:
    """Raise NotAllowedError when a token may not be used for a product."""
    if not token.reaches(serial):
        raise NotAllowedError(
            f"the token {token.name} does not reach this product, only serials that begin with "
            f"{' or '.join(token.prefixes)}"
        )


def new_token() -> str:
    """Return a new token: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """Return what is stored of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
