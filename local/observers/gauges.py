"""What the pipeline is doing, as numbers that a dashboard can show: counters, and the functions' own lines.

The only place that reads the functions' logs.  Each batch, dead letter and request leaves one line with its
metrics inside (chalicelib/telemetry/logs.py), and CloudWatch makes its graphs from the same lines; so nothing
here costs the pipeline anything per record.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from local.event_sources.observer import Invocation
from local.observers.counters import Counter

#: Percentiles are over this time; rates over a shorter one, so that a burst shows as it is.
WINDOW_S, RATE_S = 60.0, 5.0

#: An age that is worth a colour, or a word; the alarm on AWS rings at a minute.
LATE_MS = 10_000.0

#: Batches and requests whose times are kept, at most: enough for a minute, and little to sort.
MOST_KEPT = 2000

#: Bytes of a log that are taken in at once; the rest waits for the next look.
_CHUNK = 4 * 1024 * 1024


@dataclass(slots=True)
class Shard:
    """One shard as its mapping sees it."""

    read: int = 0  # records taken from the stream
    done: int = 0  # of them, those the function succeeded on or the mapping gave up on
    batches: int = 0
    batch_size: int = 0  # the latest batch's
    iterator_age_ms: float = 0.0  # of the latest batch's last record, when the function was invoked
    last_at: float = 0.0  # epoch seconds at which the latest batch ended
    oldest_at: float | None = None  # epoch seconds at which the oldest record not done arrived

    def age_ms(self, now: float) -> float | None:
        """How late the shard is: what is not done yet tells, then the latest batch, for a minute."""
        if self.oldest_at is not None:
            return max(0.0, now - self.oldest_at) * 1000
        return self.iterator_age_ms if self.batches and now - self.last_at <= WINDOW_S else None


class Totals(NamedTuple):
    """Counts since the start."""

    read: int = 0
    stored: int = 0
    requests: int = 0


@dataclass(slots=True, kw_only=True)
class Lines:
    """What the functions' lines add up to."""

    stored: int = 0  # redeliveries count again: the table then holds the same
    duplicates: int = 0
    quarantined: int = 0
    throttled_requests: int = 0
    triaged: int = 0
    expired: int = 0
    requests: int = 0
    failed_requests: int = 0
    #: When, and the times from arrival to stored of a batch's records: a sample over their order.
    latencies_ms: deque[tuple[float, Sequence[float]]] = field(
        default_factory=lambda: deque(maxlen=MOST_KEPT)
    )
    request_ms: deque[tuple[float, Sequence[float]]] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))

    def take(self, line: dict[str, Any], now: float) -> None:
        """Add one line.  What is not known here is left out."""
        match line.get("message"):
            case "batch done" | "batch unfinished; Lambda delivers it again from resume_at":
                counts = [line[name] for name in ("stored", "duplicates", "throttled_requests")]
                self.quarantined += sum(line["quarantined"].values())
                self.stored += counts[0]
                self.duplicates += counts[1]
                self.throttled_requests += counts[2]
                self.latencies_ms.append((now, line.get("ArrivalToStored", ())))
            case "dead letter triaged" | "dead letter triaged; the stream no longer held all of its records":
                stored, expired = line["stored"], line.get("expired", 0)
                self.quarantined += sum(line["quarantined"].values())
                self.stored += stored
                self.expired += expired
                self.triaged += 1
            case "request":
                status, milliseconds = line["status"], line["ms"]
                self.failed_requests += status >= 500
                self.requests += 1
                self.request_ms.append((now, (milliseconds,)))


class Gauges(Counter):
    """An observer of the mappings that also keeps what a dashboard shows."""

    def __init__(self) -> None:
        super().__init__()
        self._shards: dict[str, Shard] = {}
        #: By shard, of each page that is not done: when its first record arrived, how many are left.
        self._pages: dict[str, deque[tuple[float, int]]] = {}
        self._retries = 0
        self._batches = 0
        self._batched = 0
        self._largest_batch = 0

    def read(self, source: str, count: int, arrived_at: float) -> None:
        """Count them."""
        with self._lock:
            self._shards.setdefault(source, Shard()).read += count
            self._pages.setdefault(source, deque()).append((arrived_at, count))
            self._note_oldest(source)

    def invoked(self, invocation: Invocation) -> None:
        """Count it."""
        super().invoked(invocation)
        with self._lock:
            self._retries += invocation.attempt > 1
            if invocation.source not in self._shards:
                return  # a queue's
            shard = self._shards[invocation.source]
            shard.batches += 1
            shard.batch_size = invocation.batch_size
            shard.iterator_age_ms = invocation.iterator_age_ms
            shard.last_at = invocation.started_at + invocation.seconds
            self._batches += 1
            self._batched += invocation.batch_size
            self._largest_batch = max(self._largest_batch, invocation.batch_size)

    def processed(self, source: str, identifiers: Sequence[str], at: float) -> None:
        """Count them."""
        super().processed(source, identifiers, at)
        self._done(source, len(identifiers))

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Count them."""
        super().discarded(source, identifiers, condition)
        self._done(source, len(identifiers))

    def shards(self) -> dict[str, Shard]:
        """Each shard that has brought something, by its id."""
        with self._lock:
            return {name: replace(shard) for name, shard in sorted(self._shards.items())}

    def batches(self) -> tuple[int, float, int]:
        """Retried batches, the mean size of all, the size of the largest."""
        with self._lock:
            mean = self._batched / self._batches if self._batches else 0.0
            return self._retries, mean, self._largest_batch

    def _done(self, source: str, count: int) -> None:
        with self._lock:
            if source not in self._shards:
                return  # a queue's
            self._shards[source].done += count
            pages = self._pages[source]
            while pages and count >= pages[0][1]:
                count -= pages.popleft()[1]
            if pages:
                pages[0] = (pages[0][0], pages[0][1] - count)
            self._note_oldest(source)

    def _note_oldest(self, source: str) -> None:
        pages = self._pages[source]
        self._shards[source].oldest_at = pages[0][0] if pages else None


class Log:
    """A file of lines that grows: what has been added since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """The lines that are JSON objects.  Others are tracebacks and access lines, for people to read."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                data = log.read(_CHUNK)
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        if not whole and len(data) == _CHUNK:
            self._offset += _CHUNK  # a line that long is none of ours
        for line in whole.splitlines():
            if line.startswith(b"{"):
                try:
                    found = json.loads(line)
                except ValueError:
                    continue  # what a function printed, or the rest of a line that was too long
                if isinstance(found, dict):
                    yield found


class Logs:
    """The logs of both functions and of the API, added up."""

    def __init__(self, directory: Path) -> None:
        names = ("process_lifecycle", "triage_dead_letters", "api")
        self._logs = [Log(directory / f"{name}.log") for name in names]
        self.lines = Lines()

    def look(self, now: float) -> None:
        """Take in what is new."""
        for log in self._logs:
            for line in log.new():
                try:
                    self.lines.take(line, now)
                except (KeyError, TypeError, AttributeError):
                    continue  # somebody printed something that looks like a line of ours


class Rates:
    """How much more it has become, a second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Totals]] = deque()

    def add(self, now: float, totals: Totals) -> None:
        """The counts are these now."""
        self._seen.append((now, totals))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_S:
            self._seen.popleft()

    def a_second(self) -> tuple[float, ...]:
        """For each of the counts, over the latest few seconds."""
        (then, before), (now, after) = self._seen[0], self._seen[-1]
        seconds = now - then
        return tuple((b - a) / seconds if seconds > 0 else 0.0 for a, b in zip(before, after, strict=True))


def percentiles(
    kept: Iterable[tuple[float, Sequence[float]]], now: float
) -> tuple[float | None, float | None]:
    """p50 and p99 over the last minute, by nearest rank; None where nothing happened."""
    ordered = sorted(value for at, values in kept if now - at <= WINDOW_S for value in values)
    if not ordered:
        return None, None
    return ordered[-(-len(ordered) * 50 // 100) - 1], ordered[-(-len(ordered) * 99 // 100) - 1]
