"""Cursors: where the next page of a product's events begins, as text that a caller hands back.

Opaque to callers and hostile when it comes back: a cursor is good for the product and the query it was
made for and for nothing else.  It carries no secret and no signature; what it can be forged into is only
another position in the same product's history.
"""

import base64
import binascii
from hashlib import blake2b

from chalicelib.domain import events
from chalicelib.errors import InvalidRequestError

_FINGERPRINT_BYTES = 9


def encode(position: str, query: tuple[str | None, ...]) -> str:
    """The cursor of the page that begins behind `position`, for this query of this product."""
    return base64.urlsafe_b64encode(_fingerprint(query) + position.encode()).decode().rstrip("=")


def decode(cursor: str, query: tuple[str | None, ...]) -> str:
    """The position to go on behind.  Raises InvalidRequestError."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = raw[_FINGERPRINT_BYTES:].decode("ascii")
    except (binascii.Error, ValueError) as exc:  # UnicodeDecodeError, non-ASCII cursors included
        raise InvalidRequestError("cursor: not one of ours; start again without it") from exc
    if not events.is_position(position):
        raise InvalidRequestError("cursor: not one of ours; start again without it")
    if raw[:_FINGERPRINT_BYTES] != _fingerprint(query):
        raise InvalidRequestError(
            "cursor: made for another product or query; repeat type, since, until and order as they were"
        )
    return position


def _fingerprint(query: tuple[str | None, ...]) -> bytes:
    return blake2b(repr(query).encode(), digest_size=_FINGERPRINT_BYTES, person=b"cursor-v1").digest()
