"""Triage: from a dead letter's pointers to a verdict for every record they span.

The records are read from the stream again and go through the same ingest, in batches.  A batch on which
ingest raises (a bug of ours on some record) is run record by record: what raises alone is quarantined with
the traceback, its neighbours are stored.  What the stream no longer holds is recorded as one case a gap, so
that nobody has to guess.  With a parallelization factor above 1 the range also spans records of other lanes,
most of them stored long ago: they are stored again, which changes nothing, because an event's key is its
content.  An aggregate of millions of records is read in parts, and its progress saved within it.

A message that cannot be finished goes back to the queue, never out of it; its progress is saved in the
quarantine table, so that a wide range never starts over.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.deadline import Deadline
from chalicelib.errors import GoneError, RecordError, StorageError, UnfinishedBatchError
from chalicelib.ingest.isolate import BATCH, isolate
from chalicelib.ingest.writers import Writers, completed_within
from chalicelib.stream import replay_reader
from chalicelib.stream.batches import Batch, batches
from chalicelib.stream.replay_reader import Gap, Shard
from chalicelib.tables.cases import Case
from chalicelib.tables.history import History
from chalicelib.tables.progress import Progress
from chalicelib.tables.quarantine import Quarantine
from chalicelib.triage import invocation_record
from chalicelib.triage.invocation_record import Pointers
from chalicelib.triage.report import Report, Tally

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient
    from mypy_boto3_kinesis.type_defs import RecordTypeDef

#: Kinesis records after which the progress is saved at the latest.
SAVED_AFTER = 500


class Triage:
    """What triage needs to read and write, for as many messages as there are."""

    def __init__(
        self,
        kinesis: "KinesisClient",
        stream: str,
        history: History,
        quarantine: Quarantine,
        progress: Progress,
        writers: Writers,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._history = history
        self._quarantine = quarantine
        self._progress = progress
        self._writers = writers
        self._clock = clock
        self._sleep = sleep

    def messages(self, messages: Iterable[Mapping[str, Any]], deadline: Deadline) -> list[Report]:
        """Triage the messages of an SQS event, each on its own."""
        reports = []
        for message in messages:
            try:
                report = self.message(message, deadline)
            except Exception as exc:  # a bug of ours on one message; what was done for the others counts
                report = Report(message_id=message["messageId"], tally=Tally(), because=repr(exc), bug=exc)
            reports.append(report)
        return reports

    def message(self, message: Mapping[str, Any], deadline: Deadline) -> Report:
        """Give every record that a message of an SQS event points to its verdict.

        Raises nothing for the message, the stream or the tables; a bug of ours escapes.
        """
        started = self._clock()
        report = Report(message_id=message["messageId"], tally=Tally())
        # On a thread, so that a response that trickles in does not hold up the answer.
        call = self._writers.submit(self._triage, message, report, deadline)
        try:
            if completed_within(call, deadline.patience_s()):
                call.result()
            else:
                report.because = "an answer outlasted the invocation"
                self._writers.wait([call], 0)
        except StorageError as exc:
            report.because = str(exc)
        report.seconds = self._clock() - started
        return report

    def _triage(self, message: Mapping[str, Any], report: Report, deadline: Deadline) -> None:
        try:
            pointers = report.pointers = invocation_record.parse(message["body"])
            if pointers.stream != self._stream:
                raise RecordError(
                    "foreign_stream",
                    f"points to stream {pointers.stream!r}, but this triage reads {self._stream!r}",
                )
        except RecordError as exc:
            self._quarantine_case(_case_of_message(message, exc.reason, str(exc)), deadline)
            report.tally.quarantined[exc.reason] = 1
            report.finished = True
            return
        range_id = f"{pointers.stream}/{pointers.shard_id}/{pointers.first}-{pointers.last}"
        saved = self._progress.load(range_id, deadline)
        if saved is not None:
            report.tally = msgspec.json.decode(saved, type=Tally)
        for found in self._read(pointers, report, deadline):
            if isinstance(found, Gap):
                self._quarantine_case(_case_of_gap(found, pointers, message), deadline)
                report.tally.gaps += 1
                continue
            for batch in _batches(found, pointers, report.tally):
                self._batch(batch, pointers, report.tally, deadline)
                text = msgspec.json.encode(report.tally).decode()
                if not self._progress.save(range_id, text, deadline):
                    raise StorageError("time ran out before the progress was saved")
        # Left behind it costs one small item and nothing else, so it holds up no message.
        self._progress.remove(range_id, deadline)
        report.finished = True

    def _read(
        self, pointers: Pointers, report: Report, deadline: Deadline
    ) -> Iterable["Gap | Sequence[RecordTypeDef]"]:
        within = report.tally.within
        first = pointers.first if within is None else within.sequence_number
        done_to = report.tally.done_to if within is None else None
        try:
            hours = replay_reader.retention_hours(self._kinesis, pointers.stream, deadline)
        except GoneError as exc:
            first = done_to or first
            yield Gap(first=first, includes_first=done_to is None, before=None, why=str(exc))
            return
        report.hours_left = invocation_record.hours_left(pointers, hours, self._clock())
        yield from replay_reader.stretch(
            Shard(self._kinesis, pointers.stream, pointers.shard_id, lambda: deadline, self._sleep),
            first,
            pointers.last,
            done_to=done_to,
            page=pointers.batch_size,
            retention_ms=hours * 3_600_000,
        )

    def _batch(self, batch: Batch, pointers: Pointers, tally: Tally, deadline: Deadline) -> None:
        """Run records through ingest and count.  Raises StorageError when some are unfinished."""
        place = f"{pointers.stream}/{pointers.shard_id}"
        cases = {} if tally.within is None else {f"{place}/{tally.within.sequence_number}": tally.cases}
        stored, quarantined = isolate(
            batch.records, self._history, self._quarantine, deadline, self._writers, cases
        )
        tally.stored += stored
        for reason, count in quarantined.items():
            tally.quarantined[reason] = tally.quarantined.get(reason, 0) + count
        tally.read += batch.read
        tally.done_to = batch.done_to or tally.done_to
        tally.within = batch.within
        tally.cases = 0 if batch.within is None else cases.get(f"{place}/{batch.within.sequence_number}", 0)

    def _quarantine_case(self, case: Case, deadline: Deadline) -> None:
        if not self._quarantine.put_patiently(case, deadline):
            raise StorageError("time ran out before the case was in quarantine")


def _batches(found: Sequence["RecordTypeDef"], pointers: Pointers, tally: Tally) -> Iterator[Batch]:
    """The user records of a page that are not done yet; the progress is saved after each batch."""
    for start in range(0, len(found), SAVED_AFTER):
        read = found[start : start + SAVED_AFTER]
        yield from batches(pointers.stream, pointers.shard_id, read, BATCH, tally.within)


def partial_response(reports: Iterable[Report], mapping_listens: bool) -> dict[str, Any]:
    """What the handler answers Lambda: the messages that have to come back.

    Raises UnfinishedBatchError instead when the event source mapping would take a report for success.
    """
    unfinished = [report for report in reports if not report.finished]
    if unfinished and not mapping_listens:
        raise UnfinishedBatchError(
            f"{len(unfinished)} dead letters unfinished, first {unfinished[0].message_id}: "
            f"{unfinished[0].because}"
        )
    return {"batchItemFailures": [{"itemIdentifier": report.message_id} for report in unfinished]}


def _case_of_message(message: Mapping[str, Any], reason: str, sentence: str) -> Case:
    queue = message["eventSourceARN"].rpartition(":")[2]
    return Case(
        id=f"{queue}/{message['messageId']}",
        reason=reason,
        sentence=sentence,
        payload=_body(message),
        partition_key="",
        arrived_at_ms=_sent_at_ms(message),
    )


def _case_of_gap(gap: Gap, pointers: Pointers, message: Mapping[str, Any]) -> Case:
    start = gap.first if gap.includes_first else f"after {gap.first}"
    end = f"through {pointers.last}" if gap.before is None else f"up to before {gap.before}"
    shard = f"{pointers.stream}/{pointers.shard_id}"
    return Case(
        # Both ends, so that records lost between two tries of one message are a case of their own.
        id=f"{shard}/{gap.first}-{gap.before or pointers.last}/expired",
        reason="expired",
        sentence=(
            f"no longer in the stream: {shard} from {start} {end}, in a batch of {pointers.batch_size} that "
            f"Lambda gave up ({pointers.condition or 'condition unknown'}); {gap.why}"
        ),
        payload=_body(message),
        partition_key="",
        arrived_at_ms=pointers.arrived_at_ms or _sent_at_ms(message),
    )


def _body(message: Mapping[str, Any]) -> bytes:
    body: str = message["body"]
    return body.encode(errors="surrogatepass")


def _sent_at_ms(message: Mapping[str, Any]) -> int:
    return int(message["attributes"]["SentTimestamp"])
