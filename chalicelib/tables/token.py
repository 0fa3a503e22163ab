"""What is known of an API token: everything but the token."""

import msgspec


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token by its digest.  Times are epoch seconds."""

    digest: str  # SHA-256 of the token, in hexadecimal
    name: str
    scopes: frozenset[str]
    prefixes: tuple[str, ...] = ()  # the serials that it reaches begin so; none: all
    created_at: int
    expires_at: int | None = None
    last_seen: str | None = None

    def has_expired(self, now: float) -> bool:
        """Whether the token is valid no more."""
        return self.expires_at is not None and self.expires_at <= now

    def reaches(self, serial: str) -> bool:
        """Whether the token may be used for this product."""
        return not self.prefixes or serial.startswith(self.prefixes)
