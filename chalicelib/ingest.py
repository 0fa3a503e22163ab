"""A batch of records: each one stored, quarantined, or named as unfinished.

Decoding runs on this thread while requests of 25 items are in flight on others; nothing here depends on
the order of arrival, because an event's key is its content.  A batch's outcome never hides a record: what
is neither stored nor quarantined when time is up is `unfinished`, and the earliest of those is where
Lambda resumes.
"""

from collections.abc import Iterable
from concurrent.futures import Executor, Future, wait
from typing import Any

import msgspec

from chalicelib import events, history
from chalicelib.batch_write import Item
from chalicelib.errors import RecordError, StorageError, UnfinishedBatchError
from chalicelib.history import History, Written
from chalicelib.quarantine import Case, Quarantine
from chalicelib.records import Record
from chalicelib.storage import Deadline


class Outcome(msgspec.Struct, gc=False):
    """What became of a batch."""

    records: int = 0
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
    executor: Executor,
) -> Outcome:
    """Give every record its place, or name it as unfinished once the deadline has passed.

    Raises nothing for a record or for DynamoDB; a bug of ours escapes, after the requests in flight.
    """
    batch = _Batch(history_table, quarantine, deadline, executor)
    try:
        for record in records:
            batch.add(record)
        return batch.finish()
    finally:
        batch.settle()


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
        self, history_table: History, quarantine: Quarantine, deadline: Deadline, executor: Executor
    ) -> None:
        self._history = history_table
        self._quarantine = quarantine
        self._deadline = deadline
        self._executor = executor
        self._outcome = Outcome()
        self._keys: set[tuple[str, str]] = set()
        self._waiting: list[tuple[Record, Item]] = []
        self._writes: list[tuple[list[tuple[Record, Item]], Future[Written]]] = []
        self._poison: list[tuple[Record, RecordError]] = []
        self._puts: list[tuple[Record, RecordError, Future[bool]]] = []

    def add(self, record: Record) -> None:
        self._outcome.records += 1
        try:
            event = events.decode(record.data)
            item = history.to_item(event, record.arrived_at_ms)
        except RecordError as exc:
            self._poison.append((record, exc))
            return
        key = (event.serial, event.position)
        if key in self._keys:  # DynamoDB refuses a request that names a key twice
            self._outcome.duplicates += 1
            return
        self._keys.add(key)
        self._waiting.append((record, item))
        if len(self._waiting) == history.MAX_BATCH_ITEMS:
            self._send()

    def finish(self) -> Outcome:
        if self._waiting:
            self._send()
        # After the events, so that a quarantine that does not answer cannot hold them up.
        for record, error in self._poison:
            self._set_aside(record, error)
        outcome = self._outcome
        for chunk, write in self._writes:
            written = write.result()
            outcome.throttled_requests += written.throttled_requests
            outcome.last_error = written.last_error or outcome.last_error
            refused = {index for index, _ in written.refused}
            unfinished = set(written.unfinished)
            for index, refusal in written.refused:
                self._set_aside(chunk[index][0], refusal)
            outcome.unfinished += [chunk[index][0] for index in written.unfinished]
            for index, (_, item) in enumerate(chunk):
                if index not in refused and index not in unfinished:
                    outcome.stored += 1
                    type_ = item["type"]["S"]
                    outcome.types[type_] = outcome.types.get(type_, 0) + 1
        for record, error, put in self._puts:
            if put.result():
                outcome.quarantined.append((record, error))
            else:
                outcome.unfinished.append(record)
        return outcome

    def settle(self) -> None:
        """Wait for what is in flight: a sandbox is frozen between invocations, its sockets with it."""
        wait([write for _, write in self._writes])
        wait([put for _, _, put in self._puts])

    def _send(self) -> None:
        chunk, self._waiting = self._waiting, []
        items = [item for _, item in chunk]
        self._writes.append((chunk, self._executor.submit(self._history.write, items, self._deadline)))

    def _set_aside(self, record: Record, error: RecordError) -> None:
        case = case_of(record, error.reason, str(error))
        put = self._executor.submit(self._quarantine.put_patiently, case, self._deadline)
        self._puts.append((record, error, put))


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
