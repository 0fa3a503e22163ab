"""Real tables to ingest into, on a day that a test decides about."""

import threading
from typing import Any

import boto3

from chalicelib import settings
from chalicelib.deadline import Deadline
from chalicelib.ingest.batch import Outcome, ingest
from chalicelib.ingest.writers import Writers
from chalicelib.stream.records import from_lambda_event
from chalicelib.tables.history import History
from chalicelib.tables.quarantine import Quarantine


class Tables:
    """The tables with a clock that only moves when somebody waits, and a client that faults can be put on."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb")
        self.now = 0.0
        self.pauses: list[float] = []
        self._lock = threading.Lock()
        self.writers = Writers(4)

    def ingest(self, event: dict[str, Any], seconds: float = 60) -> Outcome:
        # Jitter at its most, so that the waits can be told.
        deadline = Deadline(seconds, clock=lambda: self.now, sleep=self._wait, uniform=lambda _, most: most)
        return ingest(
            from_lambda_event(event),
            History(self.client, settings.history_table()),
            Quarantine(self.client, settings.quarantine_table()),
            deadline,
            self.writers,
        )

    def _wait(self, seconds: float) -> None:
        with self._lock:
            self.pauses.append(seconds)
            self.now += seconds
