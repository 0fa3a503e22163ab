"""Runs one shard: a thread that reads it, lets the state machine decide, and carries out its commands.

Each invocation in flight has a thread of its own; everything else happens in the shard's.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from local.event_sources import lambda_events
from local.event_sources.checkpoints import Checkpoints, ShardCheckpoint, ShardProgress
from local.event_sources.failure_destination import FailureDestination
from local.event_sources.invocation_record import MappedShard
from local.event_sources.observer import Invocation, Observer
from local.event_sources.read_schedule import POLL_INTERVAL_S, ReadSchedule
from local.event_sources.settings import KinesisSettings
from local.event_sources.shard_reader import ReadLaterError, ShardGoneError, ShardReader, Start
from local.event_sources.shard_state_machine import (
    Bisected,
    Checkpoint,
    Command,
    Invoke,
    Processed,
    ShardMachine,
    exponential_backoff,
)
from local.sandbox.outcome import Ending, Outcome

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

logger = logging.getLogger(__name__)


class _Finished(NamedTuple):
    invoke: Invoke
    outcome: Outcome
    started_at: float
    ended_at: float


@dataclass(frozen=True, kw_only=True)
class MappingParts:
    """What a Kinesis mapping is made of, and each of its shards shares."""

    settings: KinesisSettings
    stream: str
    function: str
    invoke: Callable[[bytes], Outcome]
    kinesis: "KinesisClient"
    checkpoints: Checkpoints
    failures: FailureDestination
    observer: Observer = field(default_factory=Observer)
    poll_interval_s: float = POLL_INTERVAL_S  # between two reads of an idle shard; 1.0 on AWS
    backoff: Callable[[int], float] = exponential_backoff  # the pause after a batch's n-th failure in a row
    clock: Callable[[], float] = time.time


class ShardRunner:
    """Runs one shard until it ends or is told to stop."""

    def __init__(
        self,
        parts: MappingParts,
        shard: MappedShard,
        start: Start,
        checkpoint: ShardCheckpoint,
        *,
        on_end: Callable[[str, threading.Event], None],
        progressed: threading.Condition,
    ) -> None:
        """`on_end` is called in the shard's thread once its last record is done and checkpointed;
        `progressed` is notified whenever the answer of `is_drained` may have changed."""
        self.shard_id = shard.shard_id
        self._parts = parts
        self._shard = shard
        self._checkpoint = checkpoint
        self._on_end = on_end
        self._progressed = progressed
        self._clock = parts.clock
        self._observer = parts.observer
        self._encode = lambda_events.kinesis_encoder(shard)
        self._machine = ShardMachine(parts.settings, now=self._clock(), backoff=parts.backoff)
        self._schedule = ReadSchedule(parts.poll_interval_s)
        self._reader = ShardReader(parts.kinesis, parts.stream, shard.shard_id, start)
        try:
            self._reader.open(self._clock())
        except (ShardGoneError, ReadLaterError) as exc:
            logger.warning("shard %s has no iterator yet: %s", shard.shard_id, exc)
        self._inbox: queue.SimpleQueue[_Finished | None] = queue.SimpleQueue()  # None only wakes the thread
        self._in_flight = 0
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name=shard.shard_id, daemon=True)
        self._is_finished = False
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further read or invocation; `join` waits for those under way."""
        self._stopping.set()
        self._inbox.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the end.  Invocations not finished by then are left: their records are delivered again."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._abandoned.set()
            self._inbox.put(None)
            self._thread.join()

    def poll(self) -> None:
        """Read now rather than when the poll interval is over."""
        self._schedule.ask()
        self._inbox.put(None)

    def is_drained(self, since: float) -> bool | None:
        """Whether everything on the shard at `since` is done; None before a read that began then or later."""
        if self._is_finished:
            return True
        if self._schedule.is_read_out or not self._machine.is_idle:
            return False
        return self._schedule.saw_tip(since)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._carry_out(self._machine.due(self._clock())):
                    break
                if self._schedule.is_read_out and self._machine.is_idle:
                    self._finish()
                    break
                self._read_if_due()
                self._save()
                self._await_news()
            self._finish_in_flight()
        except Exception as exc:  # a bug of ours: `drained` raises it, since this shard will never be done
            logger.exception("shard %s: the local mapping has failed and stops", self.shard_id)
            self.error = exc
        finally:
            with self._progressed:
                self._progressed.notify_all()

    def _read_if_due(self) -> None:
        due_at = self._schedule.due_at
        now = self._clock()
        if due_at is None or now < due_at or not self._machine.wants_records:
            return
        settings = self._parts.settings
        limit = min(10_000, max(1_000, settings.batch_size * settings.parallelization_factor))
        self._schedule.begin(now)
        try:
            result = self._reader.read(limit, now)
        except ReadLaterError as exc:
            pause_s = self._schedule.failed(self._clock())
            if self._schedule.failures == 1:
                logger.warning("shard %s: reading again in %.1f s: %s", self.shard_id, pause_s, exc)
        except ShardGoneError as exc:
            logger.warning("shard %s is gone, with the records not read yet: %s", self.shard_id, exc)
            self._schedule.end()
        else:
            if result.records:
                arrived_at = result.records[0]["ApproximateArrivalTimestamp"].timestamp()
                self._observer.read(self.shard_id, len(result.records), arrived_at)
                self._machine.add(map(self._encode, result.records), self._clock())
            self._schedule.succeeded(result)
        with self._progressed:
            self._progressed.notify_all()

    def _await_news(self) -> None:
        """Take in outcomes; wait for one when there is nothing else to do."""
        if self._schedule.is_read_out and self._machine.is_idle:
            return
        due_at = self._schedule.due_at if self._machine.wants_records else None
        wakeups = [self._machine.next_wakeup, self._checkpoint.due_at, due_at]
        known = [wakeup for wakeup in wakeups if wakeup is not None]
        timeout_s = max(0.0, min(known) - self._clock()) if known else None
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
                function=self._shard.function,
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
        """Carry out the machine's commands in order; False when told to stop before all were done."""
        for command in commands:
            if isinstance(command, Invoke):
                self._in_flight += 1
                threading.Thread(target=self._run_invocation, args=(command,), daemon=True).start()
            elif isinstance(command, Bisected):
                self._observer.bisected(self.shard_id, command.batch_size)
            elif isinstance(command, Checkpoint):
                self._checkpoint.advance(ShardProgress(command.sequence_number))
            else:
                numbers = [record.sequence_number for record in command.records]
                if isinstance(command, Processed):
                    self._observer.processed(self.shard_id, numbers, self._clock() if at is None else at)
                elif self._parts.failures.take(command, self._shard, self._stopping):
                    self._observer.discarded(self.shard_id, numbers, command.condition)
                else:
                    # Never past a batch whose message the failure destination has not accepted.
                    self._checkpoint.hold()
                    return False
        return True

    def _run_invocation(self, invoke: Invoke) -> None:
        event = lambda_events.of_entries([record.entry for record in invoke.records])
        started_at = self._clock()
        try:
            outcome = self._parts.invoke(event)
        except Exception:  # a bug in what invokes: without an outcome this lane would stand still for ever
            logger.exception("shard %s: the batch could not be given to the function", self.shard_id)
            outcome = Outcome(Ending.UNDELIVERED, b"", "")
        self._inbox.put(_Finished(invoke, outcome, started_at, self._clock()))

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
        self._checkpoint.advance(ShardProgress(self._checkpoint.progress.sequence_number, ended=True))
        self._save(now=True)
        self._on_end(self.shard_id, self._stopping)
        self._is_finished = True

    def _finish_in_flight(self) -> None:
        """Take in the outcomes of invocations under way, and keep what they have done."""
        while self._in_flight and not self._abandoned.is_set():
            news = self._inbox.get()
            if news is not None:
                self._take_in(news)
        self._save(now=True)
