"""One shard at work: a thread that reads, lets the machine decide, and carries its commands out.

The only place where a shard's reader, machine, invocations, failure destination and checkpoint meet.  Each
invocation in flight has a thread of its own; everything else happens in the shard's.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from local.event_sources import invocation_record, lambda_events
from local.event_sources.batch_item_failures import Ending, Outcome
from local.event_sources.batching import StreamRecord
from local.event_sources.checkpoints import Position, ShardCheckpoint
from local.event_sources.failure_destination import FailureQueue
from local.event_sources.observer import Invocation, Observer
from local.event_sources.shard_reader import ReadLaterError, ShardGoneError, ShardReader
from local.event_sources.shard_state_machine import (
    Bisected,
    Checkpoint,
    Command,
    Discard,
    Invoke,
    Processed,
    ShardMachine,
)

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import RecordTypeDef

logger = logging.getLogger(__name__)

#: Pauses after reads that failed: the first, and the longest.
_READ_BACKOFF_S, _LONGEST_READ_BACKOFF_S = 0.2, 5.0

#: An eager runner looks so often at a shard that has brought something within so many seconds: where
#: something has come, more is near.  At rest it costs a fifth of that.
_EAGER_INTERVAL_S, _EAGER_FOR_S = 0.02, 2.0


class Source(NamedTuple):
    """What a shard's records come from and go to, by name."""

    function: str
    function_arn: str
    stream_arn: str
    shard_id: str


class _Finished(NamedTuple):
    invoke: Invoke
    outcome: Outcome
    started_at: float
    ended_at: float


class ShardRunner:
    """Runs one shard until it ends or is told to stop."""

    def __init__(
        self,
        *,
        source: Source,
        reader: ShardReader,
        encode: Callable[["RecordTypeDef"], StreamRecord],
        machine: ShardMachine,
        invoke: Callable[[bytes], Outcome],
        failure_queue: FailureQueue | None,
        checkpoint: ShardCheckpoint,
        observer: Observer,
        on_end: Callable[[str, threading.Event], None],
        progressed: threading.Condition,
        poll_interval_s: float,
        is_eager: bool,
        read_limit: int,
        clock: Callable[[], float],
    ) -> None:
        """`on_end` is called in the shard's thread once its last record is done and checkpointed;
        `progressed` is notified whenever what `is_drained` says may have changed."""
        self.shard_id = source.shard_id
        self._source = source
        self._reader = reader
        self._encode = encode
        self._machine = machine
        self._invoke = invoke
        self._failure_queue = failure_queue
        self._checkpoint = checkpoint
        self._observer = observer
        self._on_end = on_end
        self._progressed = progressed
        self._poll_interval_s = poll_interval_s
        self._is_eager = is_eager
        self._last_brought_at = float("-inf")
        self._read_limit = read_limit
        self._clock = clock
        self._inbox: queue.SimpleQueue[_Finished | None] = queue.SimpleQueue()
        self._in_flight = 0
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name=source.shard_id, daemon=True)
        self._next_read_at = float("-inf")
        self._failed_reads = 0
        self._last_read_began = float("-inf")
        self._is_at_tip = False
        self._is_read_out = False
        self._has_unsent_message = False
        self.is_finished = False
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no read and no invocation any more; `join` waits for those under way."""
        self._stopping.set()
        self._inbox.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the end.  What is not done by then is left: its records will be delivered again."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._abandoned.set()
            self._inbox.put(None)
            self._thread.join()

    def poll(self) -> None:
        """Read now rather than when the poll interval is over."""
        self._next_read_at = float("-inf")
        self._inbox.put(None)

    def is_drained(self, since: float) -> bool | None:
        """Whether everything on the shard at `since` is done; None while that has not been looked at."""
        if self.is_finished:
            return True
        if self._is_read_out or not self._machine.is_idle:
            return False
        return self._is_at_tip if self._last_read_began >= since else None

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._carry_out(self._machine.due(self._clock())):
                    break
                if self._is_read_out and self._machine.is_idle:
                    self._finish()
                    break
                self._read_if_due()
                self._save()
                self._await_news()
            self._finish_in_flight()
        except Exception as exc:  # a bug of ours: whoever waits for this shard must learn of it
            logger.exception("shard %s: the local mapping has failed and stops", self.shard_id)
            self.error = exc
        finally:
            with self._progressed:
                self._progressed.notify_all()

    def _read_if_due(self) -> None:
        began = self._clock()
        if self._is_read_out or began < self._next_read_at or not self._machine.wants_records:
            return
        try:
            page = self._reader.read(self._read_limit, began)
        except ReadLaterError as exc:
            pause_s = min(_LONGEST_READ_BACKOFF_S, _READ_BACKOFF_S * 2 ** min(self._failed_reads, 16))
            if not self._failed_reads:
                logger.warning("shard %s: reading again in %.1f s: %s", self.shard_id, pause_s, exc)
            self._failed_reads += 1
            self._next_read_at = self._clock() + pause_s
            self._tell(began, is_at_tip=False)
            return
        except ShardGoneError as exc:
            logger.warning("shard %s is gone, with what was not read of it: %s", self.shard_id, exc)
            self._is_read_out = True
            return
        self._failed_reads = 0
        if page.records:
            self._last_brought_at = began
            arrived_at = page.records[0]["ApproximateArrivalTimestamp"].timestamp()
            self._observer.read(self.shard_id, len(page.records), arrived_at)
            self._machine.add(map(self._encode, page.records), self._clock())
        self._is_read_out = page.is_end
        at_once = page.records or not page.is_tip
        self._next_read_at = float("-inf") if at_once else began + self._pause_s(began)
        self._tell(began, is_at_tip=page.is_tip and not page.is_end)

    def _pause_s(self, now: float) -> float:
        if self._is_eager and now - self._last_brought_at < _EAGER_FOR_S:
            return min(_EAGER_INTERVAL_S, self._poll_interval_s)
        return self._poll_interval_s

    def _tell(self, read_began: float, *, is_at_tip: bool) -> None:
        with self._progressed:
            self._is_at_tip = is_at_tip
            self._last_read_began = read_began
            self._progressed.notify_all()

    def _await_news(self) -> None:
        """Take in outcomes; wait for one when there is nothing else to do."""
        now = self._clock()
        wakeups = [self._machine.next_wakeup, self._checkpoint.due_at]
        if self._machine.wants_records and not self._is_read_out:
            wakeups.append(self._next_read_at)
        known = [wakeup for wakeup in wakeups if wakeup is not None]
        timeout_s = max(0.0, min(known) - now) if known else None
        if self._is_read_out and self._machine.is_idle:
            timeout_s = 0.0
        try:
            news = self._inbox.get(timeout=timeout_s) if timeout_s != 0.0 else self._inbox.get_nowait()
            while True:
                if news is not None:
                    self._take_in(news)
                news = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _take_in(self, finished: _Finished) -> None:
        self._in_flight -= 1
        invoke, outcome = finished.invoke, finished.outcome
        commands = self._machine.finished(invoke.lane, outcome, finished.ended_at)
        done = sum(len(command.records) for command in commands if isinstance(command, Processed))
        ending = outcome.ending.value
        if outcome.ending is Ending.OK and done < len(invoke.records):
            ending = "partial"
        self._observer.invoked(
            Invocation(
                function=self._source.function,
                source=self.shard_id,
                batch_size=len(invoke.records),
                outcome=ending,
                attempt=invoke.attempt,
                iterator_age_ms=max(0.0, (finished.started_at - invoke.records[-1].arrived_at) * 1000),
                started_at=finished.started_at,
                seconds=finished.ended_at - finished.started_at,
            )
        )
        self._carry_out(commands, finished.ended_at)

    def _carry_out(self, commands: Sequence[Command], at: float | None = None) -> bool:
        """Do what the machine says, in order; False when told to stop before all was done."""
        for command in commands:
            if isinstance(command, Invoke):
                self._in_flight += 1
                threading.Thread(target=self._run_invocation, args=(command,), daemon=True).start()
            elif isinstance(command, Processed):
                numbers = [record.sequence_number for record in command.records]
                self._observer.processed(self.shard_id, numbers, self._clock() if at is None else at)
            elif isinstance(command, Bisected):
                self._observer.bisected(self.shard_id, command.batch_size)
            elif isinstance(command, Checkpoint):
                # Never past a batch whose message the failure destination has not accepted.
                if not self._has_unsent_message:
                    self._checkpoint.advance(Position(command.sequence_number))
            elif not self._give_up(command):
                self._has_unsent_message = True
                return False
        return True

    def _run_invocation(self, invoke: Invoke) -> None:
        event = lambda_events.of_entries([record.entry for record in invoke.records])
        started_at = self._clock()
        try:
            outcome = self._invoke(event)
        except Exception:  # a bug in what invokes: without an outcome this lane would stand still for ever
            logger.exception("shard %s: the batch could not be given to the function", self.shard_id)
            outcome = Outcome(Ending.UNDELIVERED, b"", "")
        self._inbox.put(_Finished(invoke, outcome, started_at, self._clock()))

    def _give_up(self, discard: Discard) -> bool:
        first, last = discard.records[0].sequence_number, discard.records[-1].sequence_number
        logger.warning(
            "shard %s: gave up %d records, %s to %s: %s after %d invocations; %s",
            self.shard_id,
            len(discard.records),
            first,
            last,
            discard.condition,
            discard.invoke_count,
            "their pointers go to the failure destination" if self._failure_queue else "they are lost",
        )
        if self._failure_queue is not None:
            body = invocation_record.body(
                discard,
                function_arn=self._source.function_arn,
                stream_arn=self._source.stream_arn,
                shard_id=self.shard_id,
                now=self._clock(),
            )
            if not self._failure_queue.send(body, self._stopping):
                return False
        numbers = [record.sequence_number for record in discard.records]
        self._observer.discarded(self.shard_id, numbers, discard.condition)
        return True

    def _save(self, *, now: bool = False) -> None:
        try:
            if now:
                self._checkpoint.flush()
            else:
                self._checkpoint.flush_due()
        except (ClientError, BotoCoreError) as exc:
            logger.warning("shard %s: the checkpoint is not written, trying again: %s", self.shard_id, exc)

    def _finish(self) -> None:
        """The shard is read and done to its end."""
        position = self._checkpoint.position
        self._checkpoint.advance(Position(position.sequence_number, ended=True))
        self._save(now=True)
        self._on_end(self.shard_id, self._stopping)
        self.is_finished = True

    def _finish_in_flight(self) -> None:
        """Take in the outcomes of invocations under way, and keep what they have done."""
        while self._in_flight and not self._abandoned.is_set():
            news = self._inbox.get()
            if news is not None:
                self._take_in(news)
        self._save(now=True)
