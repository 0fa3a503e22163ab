"""Our producer as a simulation sees it: requests in flight, refusals, backoff, a window of what is refused.

Pure.  Rules and numbers are those of `producer/putter.py` and `waiting.py`, told again here because importing
the first needs botocore; a test compares them.
"""

import heapq
import random

MAX_RECORDS = 500
MAX_REQUEST_BYTES = 10 * 1024 * 1024
READ_AHEAD_BYTES = 4 * MAX_REQUEST_BYTES
IN_FLIGHT = 4
ATTEMPTS = 40
BACKOFF_S, BACKOFF_LIMIT_S = 0.1, 5.0

#: Records refused together are spread over so many pauses, as if each had drawn its own.
_PAUSES = 4


class Portion:
    """Records of one request that go to one shard."""

    __slots__ = ("attempts", "records", "shard")

    def __init__(self, shard: int, records: int, attempts: int) -> None:
        self.shard = shard
        self.records = records
        self.attempts = attempts  # made already


def records_per_request(record_bytes: int) -> int:
    """Records of this size, their keys included, that go with one request."""
    return max(1, min(MAX_RECORDS, MAX_REQUEST_BYTES // record_bytes))


def records_held(record_bytes: int) -> int:
    """Records of this size that one producer has under way and refused, at most."""
    return max(1, min(MAX_RECORDS, READ_AHEAD_BYTES // record_bytes))


class Producer:
    """What is left of a burst to put.  Several producers are one with larger requests."""

    def __init__(self, records: list[int], record_bytes: int, producers: int, rng: random.Random) -> None:
        """`records` of this size are to be put, by shard."""
        self._unsent = list(records)
        self._unsent_total = sum(records)
        self._request = records_per_request(record_bytes) * producers
        self._most_refused = MAX_RECORDS * producers
        self._most_held = max(1, READ_AHEAD_BYTES // record_bytes) * producers
        self._held = 0  # in flight or refused
        self._rng = rng
        self._refused: list[tuple[float, int, Portion]] = []  # heap by when to try again
        self._refused_records = 0
        self._ticket = 0
        self.in_flight = 0
        self.refusals = 0
        self.rejected = 0

    @property
    def is_done(self) -> bool:
        """Whether every record was accepted or finally refused."""
        return not (self._unsent_total or self._refused or self.in_flight)

    @property
    def next_due(self) -> float | None:
        """When the next refused record may be tried again."""
        return self._refused[0][0] if self._refused else None

    def request(self, now: float) -> list[Portion] | None:
        """The next request, what was refused first; None when there is nothing to send or no room."""
        if self.in_flight == IN_FLIGHT:
            return None
        portions: list[Portion] = []
        left = self._request
        while left and self._refused and self._refused[0][0] <= now:
            due, ticket, portion = heapq.heappop(self._refused)
            if portion.records > left:
                rest = Portion(portion.shard, portion.records - left, portion.attempts)
                heapq.heappush(self._refused, (due, ticket, rest))
                portion.records = left
            left -= portion.records
            self._refused_records -= portion.records
            portions.append(portion)
        # A stream that refuses much is not given more.
        room = min(left, self._most_held - self._held)
        if room > 0 and self._unsent_total and self._refused_records < self._most_refused:
            portions += self._fresh(room)
        if not portions:
            return None
        self.in_flight += 1
        return portions

    def answered(self, portion: Portion, refused: int, now: float) -> int:
        """So many of a portion were refused; says how many of them are not tried again."""
        self._held -= portion.records - refused
        if not refused:
            return 0
        attempts = portion.attempts + 1
        self.refusals += refused
        if attempts >= ATTEMPTS:
            self._held -= refused
            self.rejected += refused
            return refused
        self._refused_records += refused
        longest_s = min(BACKOFF_LIMIT_S, BACKOFF_S * 2**attempts)
        for index in range(min(_PAUSES, refused)):
            share = refused // _PAUSES + (index < refused % _PAUSES)
            self._ticket += 1
            due = now + self._rng.random() * longest_s
            heapq.heappush(self._refused, (due, self._ticket, Portion(portion.shard, share, attempts)))
        return 0

    def _fresh(self, left: int) -> list[Portion]:
        """Records that were not tried yet, to every shard as many as it still gets of the whole."""
        total = self._unsent_total
        wanted = min(left, total)
        portions = []
        given = seen = 0
        first = self._rng.randrange(len(self._unsent))  # whose turn it is to get the odd record
        order = [*range(first, len(self._unsent)), *range(first)]
        for shard in order:
            seen += self._unsent[shard]
            records = wanted * seen // total - given
            if records:
                given += records
                portions.append(Portion(shard, records, 0))
        for portion in portions:
            self._unsent[portion.shard] -= portion.records
        self._unsent_total -= given
        self._held += given
        return portions
