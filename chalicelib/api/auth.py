"""Who may ask: API tokens, checked inside the handler.

The only place that knows what a token is.  The same code guards AWS, `chalice local` and the test client; an
API Gateway authorizer would be a fourth function and would answer before our pages can.

    Authorization: Bearer lch_…        256 random bits; only its SHA-256 is configured, so that neither the
                                       configuration nor the logs can be used to ask anything

LIFECYCLE_TOKENS lists them, separated by commas, each `name:scope:digest` or `name:scope:digest:expiry`.  All
that are listed are valid at once, so a token is replaced without a moment in which neither works.  Without
any everybody is refused, unless LIFECYCLE_OPEN says otherwise.
"""

import hmac
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from functools import lru_cache
from hashlib import sha256

import msgspec

from chalicelib import settings
from chalicelib.errors import ConfigurationError, NotAllowedError, NotAuthenticatedError

#: May read every product's history.  The only scope there is; the API writes nothing.
READ = "read"

#: Who asks when everybody may.
ANYBODY = "anybody"

#: Begins every token, so that one in the wrong place is recognised by people and by secret scanners.
PREFIX = "lch_"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


class Token(msgspec.Struct, frozen=True):
    """What is known of a token: everything but the token."""

    name: str
    scope: str
    digest: str  # SHA-256 of the token, in hexadecimal
    expires_at: float | None = None  # epoch seconds


def check(headers: Mapping[str, str], scope: str = READ, now: float | None = None) -> str:
    """The name of the token that a request carries.

    Raises NotAuthenticatedError without one, NotAllowedError for one that is wrong, expired or of another
    scope, ConfigurationError for an unusable setting.
    """
    listed = settings.tokens()
    tokens = _configured(listed)
    # A list that names nobody is a list that lost its entries, not an invitation.
    if not listed and settings.is_open():
        from chalicelib.telemetry import logs

        logs.open_to_everybody()
        return ANYBODY
    header = headers.get("authorization")
    if header is None:
        raise NotAuthenticatedError("this needs a token: Authorization: Bearer <token>")
    bearer = _BEARER.fullmatch(header)
    if bearer is None:
        raise NotAuthenticatedError("the Authorization header is not of the form: Bearer <token>")
    found = _find(bearer[1], tokens)
    if found is None:
        raise NotAllowedError("this token is not valid here")
    if found.expires_at is not None and found.expires_at <= (time.time() if now is None else now):
        raise NotAllowedError(f"the token {found.name} has expired; ask for a new one")
    if found.scope != scope:
        raise NotAllowedError(f"the token {found.name} may not {scope}")
    return found.name


def create(name: str, scope: str = READ, expires: str | None = None) -> tuple[str, str]:
    """A new token, and the entry of LIFECYCLE_TOKENS for it.

    Raises ConfigurationError for an unusable name or expiry.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    entry = f"{name}:{scope}:{_digest(token)}"
    if expires is not None:
        entry += f":{expires}"
    parse(entry)
    return token, entry


def parse(text: str) -> tuple[Token, ...]:
    """The tokens that LIFECYCLE_TOKENS lists.  Raises ConfigurationError, which never shows a digest."""
    entries = [entry.strip() for entry in text.split(",")]
    return tuple(_entry(entry, number) for number, entry in enumerate(entries, start=1) if entry)


@lru_cache(maxsize=4)
def _configured(text: str) -> tuple[Token, ...]:
    return parse(text)


def _entry(entry: str, number: int) -> Token:
    where = f"LIFECYCLE_TOKENS, entry {number}"
    parts = entry.split(":", 3)
    if len(parts) < 3:
        raise ConfigurationError(f"{where}: expected name:scope:digest or name:scope:digest:expiry")
    name, scope, digest = parts[:3]
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"{where}: a name is 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit"
        )
    if scope != READ:
        raise ConfigurationError(f"{where} ({name}): expected the scope {READ}")
    if _DIGEST.fullmatch(digest) is None:
        raise ConfigurationError(
            f"{where} ({name}): a digest is 64 of 0-9 a-f; see python -m ops token create"
        )
    return Token(name, scope, digest, _instant(parts[3], f"{where} ({name})") if len(parts) == 4 else None)


def _instant(text: str, where: str) -> float:
    try:
        if len(text) == 10:  # a date: good until that day begins, in UTC
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if moment.tzinfo is not None:
            return moment.timestamp()
    except ValueError:
        pass
    raise ConfigurationError(
        f"{where}: expected an expiry such as 2027-01-31 or 2027-01-31T12:00:00Z, got {text!r}"
    )


def _find(token: str, tokens: Sequence[Token]) -> Token | None:
    """The entry of a token.  Every entry is compared, in constant time, so that time tells nothing."""
    digest = _digest(token)
    found = None
    for candidate in tokens:
        if hmac.compare_digest(digest, candidate.digest):
            found = candidate
    return found


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
