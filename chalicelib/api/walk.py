"""A walk through a product's events from newest to oldest, which reads no further than it has to."""

from collections.abc import Iterator

from chalicelib.domain import events
from chalicelib.domain.voids import Voids
from chalicelib.tables.history import History, Page, StoredEvent

#: How many Queries of 1 MB a walk makes.
MAX_WALK = 3

#: Events that its first Query asks for: most answers lie among them.
FIRST = 51


class Walk:
    """The events read so far, a stretch of the history without gaps, and how to read on."""

    def __init__(
        self, history: History, serial: str, begun: Page, voids: Voids, *, is_first_query: bool
    ) -> None:
        """`begun` is where the walk begins, newest first: its first Query, or events that were read before.

        The voids among what is read are added to `voids`.
        """
        self.read = list(begun.events)
        self._history = history
        self._serial = serial
        self._voids = voids
        self._last_read = begun.last_read
        self._left = MAX_WALK
        self._limit = None if is_first_query else FIRST  # of the next Query
        if is_first_query:
            self._count(begun, FIRST)
        voids.add(begun.events)

    @property
    def is_over(self) -> bool:
        """Whether the history begins with the last event read."""
        return self._last_read is None

    def microseconds(self) -> Iterator[list[StoredEvent]]:
        """The events of each microsecond once all of them are read, until the walk has read what it may."""
        together: list[StoredEvent] = []
        start = 0
        while True:
            for event in self.read[start:]:
                if together and events.prefix_of(together[0].position) != events.prefix_of(event.position):
                    yield together
                    together = []
                together.append(event)
            start = len(self.read)
            if self.is_over or not self._left:
                break
            self._read_on()
        if together and self.is_over:
            yield together

    def _read_on(self) -> None:
        page = self._history.page(self._serial, limit=self._limit, after=self._last_read)
        self._count(page, self._limit)
        self._limit = None
        self._last_read = page.last_read
        self._voids.add(page.events)
        self.read += page.events

    def _count(self, page: Page, limit: int | None) -> None:
        """A Query that its limit has ended read less than 1 MB, and is not counted."""
        if limit is None or (page.last_read is not None and len(page.events) < limit):
            self._left -= 1
