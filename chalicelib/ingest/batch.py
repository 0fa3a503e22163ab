"""A batch of records: each one stored, quarantined, or named as unfinished.

Decoding runs on this thread while requests of 25 items are in flight on others; nothing here depends on
the order of arrival, because an event's key is its content.  Decoding runs only so far ahead, so that a
batch of 10,000 records takes no more memory than its records.  A void is stored once its marker is, too,
which is written after it: a batch without voids makes no request for that, and one with some makes one for
25 of them.  A batch's outcome never hides a record: what is neither stored nor quarantined when time is up
is `unfinished`, and the earliest of those is where Lambda resumes.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import msgspec

from chalicelib.deadline import Deadline
from chalicelib.domain.voids import VOID
from chalicelib.errors import RecordError, StorageError, UnavailableError, UnfinishedBatchError
from chalicelib.ingest.poison import PoisonPills
from chalicelib.ingest.writers import Writers, completed_within
from chalicelib.stream import records as stream_records
from chalicelib.stream.records import Record
from chalicelib.tables import history, items
from chalicelib.tables.history import History, Written
from chalicelib.tables.items import Item
from chalicelib.tables.markers import Marker, marker_of
from chalicelib.tables.quarantine import Case, Quarantine

#: Requests that may wait or be in flight before decoding waits for the oldest: more than there are threads,
#: so that none of them is idle, and 1,600 events at most.
REQUESTS_AHEAD = 64


class Outcome(msgspec.Struct, gc=False):
    """What became of a batch."""

    records: int = 0  # that were looked at
    stored: int = 0
    duplicates: int = 0  # records whose event was in the batch already
    quarantined: list[tuple[Record, RecordError]] = []
    unfinished: list[Record] = []
    types: dict[str, int] = {}  # stored events by type
    throttled_requests: int = 0
    last_error: StorageError | None = None

    def earliest_unfinished(self) -> Record | None:
        """Where Lambda has to resume; None when everything has its place."""
        return min(self.unfinished, key=lambda record: int(record.sequence_number), default=None)


def ingest(
    records: Iterable[Record],
    history_table: History,
    quarantine: Quarantine,
    deadline: Deadline,
    writers: Writers,
    cases: Mapping[str, int] | None = None,
) -> Outcome:
    """Give every record its place, or name it as unfinished once the deadline has passed.

    Records come in the stream's order: of those that are left for lack of time only the first is looked at,
    because Lambda delivers the others again with it.  `cases` goes to PoisonPills.  Raises nothing for a
    record or for DynamoDB; a bug of ours escapes, after the requests in flight.
    """
    batch = _Batch(history_table, quarantine, deadline, writers, PoisonPills(cases or {}))
    try:
        for record in records:
            if deadline.remaining_s() <= 0:
                batch.leave(record)
                break
            batch.add(record)
        return batch.finish()
    finally:
        batch.wait()


def partial_response(outcome: Outcome, mapping_listens: bool) -> dict[str, Any]:
    """What the handler answers Lambda: the sequence number to resume at, or nothing to report.

    Raises UnfinishedBatchError instead when the event source mapping would take a report for success.
    """
    resume = outcome.earliest_unfinished()
    if resume is None:
        return {"batchItemFailures": []}
    if not mapping_listens:
        raise UnfinishedBatchError(
            f"{len(outcome.unfinished)} of {outcome.records} records unfinished, the earliest at "
            f"{resume.shard_id}:{resume.sequence_number}: {outcome.last_error or 'time ran out'}"
        )
    return {"batchItemFailures": [{"itemIdentifier": resume.sequence_number}]}


class _Batch:
    """The state of one `ingest`: what waits for a request, and what is in flight."""

    def __init__(
        self,
        history_table: History,
        quarantine: Quarantine,
        deadline: Deadline,
        writers: Writers,
        pills: PoisonPills,
    ) -> None:
        self._history = history_table
        self._quarantine = quarantine
        self._deadline = deadline
        self._writers = writers
        self._outcome = Outcome()
        self._keys: set[tuple[str, str]] = set()
        self._records: list[Record] = []  # of the next request
        self._items: list[Item] = []
        self._voids: list[Record] = []  # that are in the table, and whose markers are not
        self._markers: list[Marker] = []
        self._writes: deque[_Write] = deque()
        self._calls: list[Future[Any]] = []  # all that may still be in flight
        self._pills = pills
        self._puts: list[tuple[Record, RecordError, Future[bool]]] = []

    def add(self, record: Record) -> None:
        self._outcome.records += 1
        try:
            event = stream_records.decode(record)
            item = items.to_item(event, record.arrived_at_ms)
        except RecordError as exc:
            self._pills.add(record, exc)
            return
        key = (event.serial, event.position)
        if key in self._keys:  # DynamoDB refuses a request that names a key twice
            self._outcome.duplicates += 1
            return
        self._keys.add(key)
        self._records.append(record)
        self._items.append(item)
        if len(self._items) == history.MAX_BATCH_ITEMS:
            self._send_events()

    def leave(self, record: Record) -> None:
        self._outcome.records += 1
        self._outcome.unfinished.append(record)

    def finish(self) -> Outcome:
        if self._items:
            self._send_events()
        # After the events, so that a quarantine that does not answer cannot hold them up.
        for record, error in self._pills:
            if self._deadline.remaining_s() > 0:
                self._quarantine_record(record, error)
            else:
                self._outcome.unfinished.append(record)
        while self._writes or self._markers:
            if not self._writes:
                self._send_markers()
            self._take_oldest()
        for record, error, put in self._puts:
            if completed_within(put, self._deadline.patience_s()) and put.result():
                self._outcome.quarantined.append((record, error))
            else:
                self._outcome.unfinished.append(record)
        return self._outcome

    def wait(self) -> None:
        """Wait for what is in flight: a sandbox is frozen between invocations, its sockets with it."""
        self._writers.wait(self._calls, self._deadline.patience_s())

    def _send_events(self) -> None:
        while len(self._writes) >= REQUESTS_AHEAD:
            self._take_oldest()
        waiting, self._items = self._items, []
        records, self._records = self._records, []
        self._send(records, waiting)

    def _send_markers(self) -> None:
        waiting, self._markers = self._markers, []
        records, self._voids = self._voids, []
        self._send(records, waiting)

    def _send(self, records: list[Record], waiting: Sequence[Item | Marker]) -> None:
        result = self._writers.submit(self._history.write, waiting, self._deadline)
        self._writes.append(_Write(records, waiting, result))
        self._calls.append(result)

    def _take_oldest(self) -> None:
        """Wait for the oldest request and note what became of its records."""
        write = self._writes.popleft()
        outcome = self._outcome
        if not completed_within(write.result, self._deadline.patience_s()):
            outcome.unfinished += write.records
            outcome.last_error = UnavailableError(
                "DynamoDB did not answer: a request outlasted its invocation"
            )
            return
        written = write.result.result()
        outcome.throttled_requests += written.throttled_requests
        outcome.last_error = written.last_error or outcome.last_error
        elsewhere = set(written.unfinished)
        outcome.unfinished += [write.records[index] for index in written.unfinished]
        for index, refusal in written.refused:
            elsewhere.add(index)
            self._quarantine_record(write.records[index], refusal)
        for index, item in enumerate(write.items):
            if index in elsewhere:
                continue
            type_ = item.type.S if isinstance(item, Item) else VOID
            if type_ == VOID and (marker := marker_of(item)) is not None:
                self._mark(write.records[index], marker)
                continue
            outcome.stored += 1
            outcome.types[type_] = outcome.types.get(type_, 0) + 1

    def _mark(self, record: Record, marker: Marker) -> None:
        """The record's void is in the table; it is stored once this is, too."""
        self._voids.append(record)
        self._markers.append(marker)
        if len(self._markers) == history.MAX_BATCH_ITEMS:
            self._send_markers()

    def _quarantine_record(self, record: Record, error: RecordError) -> None:
        case = case_of(record, error.reason, str(error))
        put = self._writers.submit(self._quarantine.put_patiently, case, self._deadline)
        self._puts.append((record, error, put))
        self._calls.append(put)


class _Write(NamedTuple):
    """A request in flight, and the records behind its items."""

    records: list[Record]
    items: Sequence[Item | Marker]
    result: Future[Written]


def case_of(record: Record, reason: str, sentence: str) -> Case:
    """A record as quarantine keeps it."""
    return Case(
        id=record.id,
        reason=reason,
        sentence=sentence,
        payload=record.data,
        partition_key=record.partition_key,
        arrived_at_ms=record.arrived_at_ms,
    )
