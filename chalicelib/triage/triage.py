"""Triage: from a dead letter's pointers to a verdict for every record they span.

The records are read from the stream again and go through the same ingest, in batches.  A batch on which
ingest raises (a bug of ours on some record) is run record by record: what raises alone is quarantined with
the traceback, its neighbours are stored.  What the stream no longer holds is recorded as one case a gap, so
that nobody has to guess.  With a parallelization factor above 1 the range also spans records of other lanes,
most of them stored long ago: they are stored again, which changes nothing, because an event's key is its
content.

A message that cannot be finished goes back to the queue, never out of it; a bookmark in the quarantine
table remembers how far it got, so that a wide range never starts over.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.errors import GoneError, LifecycleError, RecordError, StorageError, UnfinishedBatchError
from chalicelib.ingest import batch as ingest
from chalicelib.ingest.writers import Writers, is_back
from chalicelib.stream import records, replay_reader
from chalicelib.stream.records import Record
from chalicelib.stream.replay_reader import Gap, Shard
from chalicelib.tables.cases import Case
from chalicelib.tables.errors import Deadline
from chalicelib.tables.history import History
from chalicelib.tables.quarantine import Quarantine
from chalicelib.telemetry import logs
from chalicelib.triage import invocation_record
from chalicelib.triage.invocation_record import Pointers

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient
    from mypy_boto3_kinesis.type_defs import RecordTypeDef

#: Kinesis records that go through ingest at once, and the most that is done twice after a kill.
BATCH = 500

#: Reasons of cases that hold no record: nothing of theirs could be put on the stream.
WITHOUT_RECORD = ("expired", "not_an_invocation_record", "foreign_stream")


class Tally(msgspec.Struct):
    """The verdicts on the records of a message so far, by user record; and how far that is."""

    done_to: str | None = None  # sequence number
    read: int = 0  # Kinesis records
    stored: int = 0
    quarantined: dict[str, int] = {}
    gaps: int = 0

    def expired(self, pointers: Pointers) -> int:
        """Records of the batch that the stream no longer held: at least so many."""
        return max(self.gaps, pointers.batch_size - self.read) if self.gaps else 0


class Report(msgspec.Struct, kw_only=True):
    """What became of one message.  Unless `finished` it has to come back."""

    message_id: str
    pointers: Pointers | None = None  # None when the message is no invocation record
    tally: Tally
    hours_left: float | None = None  # until the stream forgets the records; negative once it has
    seconds: float = 0.0
    finished: bool = False
    because: str = ""  # why it is not finished


class Triage:
    """What triage needs to read and write, for as many messages as there are."""

    def __init__(
        self,
        kinesis: "KinesisClient",
        stream: str,
        history: History,
        quarantine: Quarantine,
        writers: Writers,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._history = history
        self._quarantine = quarantine
        self._writers = writers
        self._clock = clock
        self._sleep = sleep

    def messages(
        self, messages: Iterable[Mapping[str, Any]], deadline: Deadline, request_id: str
    ) -> list[Report]:
        """Triage the messages of an SQS event, each on its own, and log a line for each."""
        reports = []
        for message in messages:
            try:
                report = self.message(message, deadline)
                logs.dead_letter_triaged(report, request_id)
            except Exception as exc:  # a bug of ours on one message; what was done for the others counts
                logs.triage_failed(message["messageId"], request_id)
                report = Report(message_id=message["messageId"], tally=Tally(), because=repr(exc))
            reports.append(report)
        return reports

    def message(self, message: Mapping[str, Any], deadline: Deadline) -> Report:
        """Give every record that a message of an SQS event points to its verdict.

        Raises nothing for the message, the stream or the tables; a bug of ours escapes.
        """
        started = self._clock()
        report = Report(message_id=message["messageId"], tally=Tally())
        # On a thread, so that a read of the stream or of a bookmark that drips does not hold up the answer.
        call = self._writers.submit(self._triage, message, report, deadline)
        try:
            if is_back(call, deadline.patience_s()):
                call.result()
            else:
                report.because = "an answer outlasted the invocation"
                self._writers.settle([call], 0)
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
            self._set_aside(_case_of_message(message, exc.reason, str(exc)), deadline)
            report.tally.quarantined[exc.reason] = 1
            report.finished = True
            return
        bookmark = f"{pointers.stream}/{pointers.shard_id}/{pointers.first}-{pointers.last}"
        saved = self._quarantine.bookmark(bookmark, deadline)
        if saved is not None:
            report.tally = msgspec.json.decode(saved, type=Tally)
        for found in self._read(pointers, report, deadline):
            if isinstance(found, Gap):
                self._set_aside(_case_of_gap(found, pointers, message), deadline)
                report.tally.gaps += 1
                continue
            for start in range(0, len(found), BATCH):
                self._batch(found[start : start + BATCH], pointers, report.tally, deadline)
                text = msgspec.json.encode(report.tally).decode()
                if not self._quarantine.save_bookmark(bookmark, text, deadline):
                    raise StorageError("time ran out before the bookmark was saved")
        # Left behind it costs one small item and nothing else, so it holds up no message.
        self._quarantine.forget_bookmark(bookmark, deadline)
        report.finished = True

    def _read(
        self, pointers: Pointers, report: Report, deadline: Deadline
    ) -> Iterable["Gap | Sequence[RecordTypeDef]"]:
        try:
            hours = replay_reader.retention_hours(self._kinesis, pointers.stream, deadline)
        except GoneError as exc:
            done_to = report.tally.done_to
            yield Gap(
                first=done_to or pointers.first, includes_first=done_to is None, before=None, why=str(exc)
            )
            return
        report.hours_left = invocation_record.hours_left(pointers, hours, self._clock())
        yield from replay_reader.stretch(
            Shard(self._kinesis, pointers.stream, pointers.shard_id, lambda: deadline, self._sleep),
            pointers.first,
            pointers.last,
            done_to=report.tally.done_to,
            page=pointers.batch_size,
            retention_ms=hours * 3_600_000,
        )

    def _batch(
        self, read: Sequence["RecordTypeDef"], pointers: Pointers, tally: Tally, deadline: Deadline
    ) -> None:
        """Run records through ingest and count.  Raises StorageError when some are unfinished."""
        batch = list(records.from_get_records(pointers.stream, pointers.shard_id, read))
        stored, quarantined = settle(batch, self._history, self._quarantine, deadline, self._writers)
        tally.stored += stored
        for reason, count in quarantined.items():
            tally.quarantined[reason] = tally.quarantined.get(reason, 0) + count
        tally.read += len(read)
        tally.done_to = read[-1]["SequenceNumber"]

    def _set_aside(self, case: Case, deadline: Deadline) -> None:
        if not self._quarantine.put_patiently(case, deadline):
            raise StorageError("time ran out before the case was in quarantine")


def settle(
    batch: Sequence[Record], history: History, quarantine: Quarantine, deadline: Deadline, writers: Writers
) -> tuple[int, dict[str, int]]:
    """Give every record a verdict: how many were stored, and how many quarantined by reason.

    A record on which ingest raises is quarantined as `handler_error` with the traceback.  Raises
    StorageError when time runs out for some of them; running them again is harmless.
    """
    try:
        outcome = ingest.ingest(batch, history, quarantine, deadline, writers)
    except LifecycleError:
        raise  # a missing setting, say: no record's fault
    except Exception:  # whatever a bug of ours raises on some record; the others must not wait for its fix
        if len(batch) == 1:
            case = ingest.case_of(batch[0], "handler_error", traceback.format_exc())
            if not quarantine.put_patiently(case, deadline):
                raise StorageError("time ran out before the record was in quarantine") from None
            return 0, {"handler_error": 1}
        stored, counts = 0, dict[str, int]()
        middle = len(batch) // 2  # as Lambda bisects: a few runs, and not one for each record
        for half in (batch[:middle], batch[middle:]):
            kept, quarantined = settle(half, history, quarantine, deadline, writers)
            stored += kept
            for reason, count in quarantined.items():
                counts[reason] = counts.get(reason, 0) + count
        return stored, counts
    if outcome.unfinished:
        raise StorageError(
            f"{len(outcome.unfinished)} of {outcome.records} records unfinished: "
            f"{outcome.last_error or 'time ran out'}"
        )
    counts = {}
    for _, error in outcome.quarantined:
        counts[error.reason] = counts.get(error.reason, 0) + 1
    return outcome.stored + outcome.duplicates, counts


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
