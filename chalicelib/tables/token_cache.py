"""Tokens as one process knows them: read from the access table, and kept for a minute.

A token that is revoked or made takes effect within that minute, without a deployment.  That a token is not
known is kept as well, so that whoever tries one again and again costs the table one read a minute.  Known and
unknown tokens have places of their own: a flood of wrong tokens displaces no right one.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from chalicelib.errors import LifecycleError
from chalicelib.tables.access import Access
from chalicelib.tables.token import Token

#: How long an answer of the table is used, counted from when it was asked for.
KEEP_S = 60.0

MAX_KNOWN = 2_000

#: A process answers one request at a time on Lambda, and a GetItem takes 4 ms or more: it cannot ask for more
#: different tokens within KEEP_S than this, so none is asked for twice.  At 200 bytes each they take 3 MB.
MAX_UNKNOWN = 16_384

Run = Callable[[Callable[[], None]], None]


def in_background(call: Callable[[], None]) -> None:
    """Call on a thread that nobody waits for."""
    threading.Thread(target=call, daemon=True).start()


class TokenCache:
    """The access table with a memory.  Safe to share between threads."""

    def __init__(
        self, access: Access, *, clock: Callable[[], float] = time.monotonic, run: Run = in_background
    ) -> None:
        self._access = access
        self._clock = clock
        self._run = run
        self._known: OrderedDict[str, tuple[Token, float]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._seen: dict[str, str] = {}
        self._lock = threading.Lock()

    def find(self, digest: str) -> Token | None:
        """Return the token with this digest, None where there is none.

        Raises AccessUnavailableError when the table has to be asked and does not answer.
        """
        now = self._clock()
        with self._lock:
            if digest in self._known:
                token, asked = self._known[digest]
                if now - asked < KEEP_S:
                    return token
            elif now - self._unknown.get(digest, -KEEP_S) < KEEP_S:
                return None
        found = self._access.find(digest)
        with self._lock:
            self._known.pop(digest, None)
            self._unknown.pop(digest, None)
            if found is None:
                self._unknown[digest] = now
            else:
                self._known[digest] = (found, now)
            if len(self._known) > MAX_KNOWN:
                forgotten, _ = self._known.popitem(last=False)
                self._seen.pop(forgotten, None)
            if len(self._unknown) > MAX_UNKNOWN:
                self._unknown.popitem(last=False)
        return found

    def seen(self, token: Token, day: str) -> None:
        """Have it noted that a token was used on this day: once a day, and no answer waits for it."""
        with self._lock:
            if day in (token.last_seen, self._seen.get(token.digest)):
                return
            self._seen[token.digest] = day
        self._run(lambda: self._note(token.digest, day))

    def _note(self, digest: str, day: str) -> None:
        try:
            self._access.seen(digest, day)
        except LifecycleError:
            with self._lock:  # the next request tries again
                self._seen.pop(digest, None)
