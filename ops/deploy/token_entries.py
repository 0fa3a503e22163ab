"""The entries of LIFECYCLE_TOKENS, the setting that listed API tokens before the access table did.

name:scope:digest or name:scope:digest:expiry, separated by commas
"""

import re
from datetime import date, datetime, timezone

from chalicelib.api import auth
from chalicelib.errors import ConfigurationError
from chalicelib.tables.token import Token

NAME_RULE = "a name, 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def parse(text: str, created_at: int) -> list[Token]:
    """Return the tokens that the setting lists.  Raises ConfigurationError, which never shows a digest."""
    entries = [entry.strip() for entry in text.split(",")]
    return [_entry(entry, number, created_at) for number, entry in enumerate(entries, start=1) if entry]


def is_name(text: str) -> bool:
    """Whether a token may have this name."""
    return _NAME.fullmatch(text) is not None


def expiry(text: str) -> int:
    """Return the moment in epoch seconds that a date or an RFC 3339 time names.  Raises ValueError."""
    try:
        if len(text) == 10:  # a date: good until that day begins, in UTC
            day = date.fromisoformat(text)
            return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp())
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if moment.tzinfo is not None:
            return int(moment.timestamp())
    except ValueError:
        pass
    raise ValueError(f"expected an expiry such as 2027-01-31 or 2027-01-31T12:00:00Z, got {text[:40]!r}")


def _entry(entry: str, number: int, created_at: int) -> Token:
    where = f"LIFECYCLE_TOKENS, entry {number}"
    parts = entry.split(":", 3)
    if len(parts) < 3:
        raise ConfigurationError(f"{where}: expected name:scope:digest or name:scope:digest:expiry")
    name, scope, digest = parts[:3]
    if not is_name(name):
        raise ConfigurationError(f"{where}: expected {NAME_RULE}")
    if scope != auth.READ:
        raise ConfigurationError(f"{where} ({name}): expected the scope {auth.READ}")
    if _DIGEST.fullmatch(digest) is None:
        raise ConfigurationError(f"{where} ({name}): a digest is 64 of 0-9 a-f")
    try:
        expires_at = expiry(parts[3]) if len(parts) == 4 else None
    except ValueError as exc:
        raise ConfigurationError(f"{where} ({name}): {exc}") from exc
    return Token(
        digest=digest, name=name, scopes=frozenset({scope}), created_at=created_at, expires_at=expires_at
    )
