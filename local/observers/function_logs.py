"""Reads the lines that the functions and the API log, and adds up what they say.

Each batch, dead letter and request leaves one line with its metrics inside (chalicelib/telemetry/logs.py),
and CloudWatch makes its graphs from the same lines; so nothing here costs the pipeline anything per record.
"""

import collections
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Batches and requests whose times are kept, at most: enough for a minute, and little to sort.
MAX_KEPT = 2000

#: Bytes of a log that are taken in at once; the rest waits for the next look.
_CHUNK = 4 * 1024 * 1024


class LogReader:
    """A log that grows: what has been added since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that are JSON objects.  Others are tracebacks and access lines, for people."""
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


@dataclass(slots=True, kw_only=True)
class LogTotals:
    """The sums of the lines."""

    stored: int = 0  # redeliveries count again: the table then holds the same
    duplicates: int = 0
    quarantined: int = 0
    throttled_requests: int = 0
    triaged: int = 0
    expired: int = 0
    requests: int = 0
    failed_requests: int = 0
    #: When a batch's line was read, and a sample of the times from arrival to stored of its records.
    latencies_ms: deque[tuple[float, Sequence[float]]] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    request_ms: deque[tuple[float, Sequence[float]]] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))

    def add(self, line: dict[str, Any], now: float) -> None:
        """Add one line, or nothing if its kind is not known here.

        Raises KeyError, TypeError or AttributeError, before anything is added, for a line that only looks
        like one of ours.
        """
        match line.get("kind"):
            case "batch":
                counts = [line[name] for name in ("stored", "duplicates", "throttled_requests")]
                self.quarantined += sum(line["quarantined"].values())
                self.stored += counts[0]
                self.duplicates += counts[1]
                self.throttled_requests += counts[2]
                self.latencies_ms.append((now, line.get("ArrivalToStored", ())))
            case "dead_letter" if line["finished"]:
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


class FunctionLogs:
    """The logs of both functions and of the API, added up."""

    def __init__(self, directory: Path) -> None:
        names = ("process_lifecycle", "triage_dead_letters", "api")
        self._logs = [LogReader(directory / f"{name}.log") for name in names]
        self.totals = LogTotals()

    def look(self, now: float) -> None:
        """Take in what is new."""
        for log in self._logs:
            for line in log.new():
                try:
                    self.totals.add(line, now)
                except (KeyError, TypeError, AttributeError):
                    continue  # a function printed something that looks like a line of ours


def verdicts(log: Path) -> collections.Counter[str]:
    """Return the records of triage's log by verdict: `stored`, `expired`, or the reason of their case."""
    found: collections.Counter[str] = collections.Counter()
    for line in LogReader(log).new():
        if line.get("kind") == "dead_letter" and line["finished"]:
            found["stored"] += line["stored"]
            found["expired"] += line.get("expired", 0)
            found.update(line["quarantined"])
    return found
