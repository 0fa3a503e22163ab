"""The course of a simulated run over time, and its latencies, in little memory however long it is."""

import math
from typing import NamedTuple


class Moment(NamedTuple):
    """A stretch of the run, named by its end."""

    at: float
    iterator_age_s: float  # the largest
    stored: int
    invocations: int
    throttles: int
    given_up: int  # dead letters, and what producers gave up


class Timeline:
    """The run in at most `size` stretches of equal length, which doubles when they run out."""

    def __init__(self, size: int = 240, width_s: float = 0.125) -> None:
        self._size = size
        self.width_s = width_s
        self._bins: list[list[float]] = []

    def add(
        self,
        at: float,
        *,
        age_s: float = 0.0,
        stored: int = 0,
        invocations: int = 0,
        throttles: int = 0,
        given_up: int = 0,
    ) -> None:
        """Add what happened at a moment."""
        index = int(at / self.width_s)
        while index >= self._size:
            self._halve()
            index = int(at / self.width_s)
        while len(self._bins) <= index:
            self._bins.append([0.0, 0, 0, 0, 0])
        into = self._bins[index]
        into[0] = max(into[0], age_s)
        for position, count in enumerate((stored, invocations, throttles, given_up), 1):
            into[position] += count

    def moments(self) -> list[Moment]:
        """Return the stretches in order."""
        return [
            Moment((index + 1) * self.width_s, each[0], *map(int, each[1:]))
            for index, each in enumerate(self._bins)
        ]

    def _halve(self) -> None:
        merged = []
        for index in range(0, len(self._bins), 2):
            pair = self._bins[index : index + 2]
            merged.append(
                [
                    max(each[0] for each in pair),
                    *(sum(each[k] for each in pair) for k in range(1, len(pair[0]))),
                ]
            )
        self._bins = merged
        self.width_s *= 2


class Histogram:
    """Durations by count, in buckets that grow by a tenth: percentiles within 10 %."""

    _FIRST_S, _GROWTH = 0.001, 1.1

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = 0

    def add(self, seconds: float, count: int) -> None:
        """Add `count` durations of `seconds`."""
        bucket = math.ceil(math.log(max(seconds, self._FIRST_S) / self._FIRST_S, self._GROWTH))
        self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self._count += count

    def percentile(self, rank: float) -> float | None:
        """Return the duration that `rank` percent do not exceed; None without any."""
        left = math.ceil(self._count * rank / 100)
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return self._FIRST_S * self._GROWTH**bucket
        return None
