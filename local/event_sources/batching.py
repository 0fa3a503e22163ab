"""The records of a lane that are in no batch yet, and how many of them the next batch takes.

A batch is bounded by BatchSize and by the 6 MiB of one invocation: Lambda's limit holds for the event's JSON,
base64 and metadata included (KDS developer guide, "Large records").
"""

from collections import deque
from typing import NamedTuple

#: What one invocation carries at most, and what an event weighs beyond its records: `{"Records":[]}`.
MAX_EVENT_BYTES = 6 * 1024 * 1024
ENVELOPE_BYTES = 14


class StreamRecord(NamedTuple):
    """A Kinesis record, reduced to what batching needs."""

    sequence_number: str
    arrived_at: float  # epoch seconds
    partition_key: str
    entry: bytes  # the record as it will stand in the event


class PendingRecords:
    """A lane's records that are in no batch yet, oldest first."""

    def __init__(self, batch_size: int, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._batch_size = batch_size
        self._max_event_bytes = max_event_bytes
        self._records: deque[StreamRecord] = deque()
        # How many records from the front fit into one batch, and what the event would weigh with them.
        self._fitting = 0
        self._bytes = ENVELOPE_BYTES

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: StreamRecord) -> None:
        """Put a record behind the others."""
        self._records.append(record)
        if self._fitting == len(self._records) - 1:
            self._try_fitting(record)

    @property
    def is_full(self) -> bool:
        """Whether waiting longer would not make the next batch larger."""
        return self._fitting == self._batch_size or self._fitting < len(self._records)

    def is_oversized(self, record: StreamRecord) -> bool:
        """Whether a record is too large for an invocation of its own."""
        return ENVELOPE_BYTES + len(record.entry) > self._max_event_bytes

    def cut(self) -> list[StreamRecord]:
        """Take the next batch off the front: at least one record, an oversized one alone."""
        batch = [self._records.popleft() for _ in range(max(1, self._fitting))]
        self._fitting, self._bytes = 0, ENVELOPE_BYTES
        for record in self._records:
            if not self._try_fitting(record):
                break
        return batch

    def _try_fitting(self, record: StreamRecord) -> bool:
        weight = len(record.entry) + (1 if self._fitting else 0)  # the comma before it
        if self._fitting == self._batch_size or self._bytes + weight > self._max_event_bytes:
            return False
        self._fitting += 1
        self._bytes += weight
        return True
