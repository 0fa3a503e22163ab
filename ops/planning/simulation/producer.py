"""The producer of a simulated burst: requests in flight, refusals, backoff, a window of what is refused.

The rules are those of `producer/putter.py` and `producer/waiting.py`.
"""

import heapq
import random

from ops.planning.capacity import records_per_request
from producer.limits import (
    ATTEMPTS,
    BACKOFF_LIMIT_S,
    BACKOFF_S,
    IN_FLIGHT,
    MAX_RECORDS,
    READ_AHEAD_BYTES,
)

#: Pauses over which records refused together are spread, as if each had drawn its own.
_PAUSES = 4


class Portion:
    """Records of one request that go to one shard."""

    __slots__ = ("attempts", "records", "shard")

    def __init__(self, shard: int, records: int, attempts: int) -> None:
        self.shard = shard
        self.records = records
        self.attempts = attempts  # made already


class BurstProducer:
    """What of a burst is still to be put.  Several producers count as one with larger requests."""

    def __init__(self, records: list[int], record_bytes: int, producers: int, rng: random.Random) -> None:
        """`records` is by shard, `record_bytes` the size of each."""
        self._unsent = list(records)
        self._unsent_total = sum(records)
        self._request = records_per_request(record_bytes) * producers
        self._max_refused = MAX_RECORDS * producers
        self._max_held = max(1, READ_AHEAD_BYTES // record_bytes) * producers
        self._held = 0  # in flight or refused
        self._rng = rng
        self._refused: list[tuple[float, int, Portion]] = []  # heap by when to try again
        self._refused_records = 0
        self._ticket = 0
        self.in_flight = 0

    @property
    def is_done(self) -> bool:
        """Whether every record was accepted or finally refused."""
        return not (self._unsent_total or self._refused or self.in_flight)

    @property
    def next_due(self) -> float | None:
        """When the next refused record may be tried again; None without one."""
        return self._refused[0][0] if self._refused else None

    def request(self, now: float) -> list[Portion] | None:
        """Return the next request, refused records first; None without a record or room for a request."""
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
        room = min(left, self._max_held - self._held)
        if room > 0 and self._unsent_total and self._refused_records < self._max_refused:
            portions += self._fresh(room)
        if not portions:
            return None
        self.in_flight += 1
        return portions

    def answer(self, portion: Portion, refused: int, now: float) -> int:
        """Take in how many records of a portion were refused; return how many are not tried again."""
        self._held -= portion.records - refused
        if not refused:
            return 0
        attempts = portion.attempts + 1
        if attempts >= ATTEMPTS:
            self._held -= refused
            return refused
        self._refused_records += refused
        max_pause_s = min(BACKOFF_LIMIT_S, BACKOFF_S * 2**attempts)
        for index in range(min(_PAUSES, refused)):
            share = refused // _PAUSES + (index < refused % _PAUSES)
            self._ticket += 1
            due = now + self._rng.random() * max_pause_s
            heapq.heappush(self._refused, (due, self._ticket, Portion(portion.shard, share, attempts)))
        return 0

    def _fresh(self, left: int) -> list[Portion]:
        """Return untried records, each shard's part as large as its share of those that are left."""
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
