"""The failure semantics of a Kinesis mapping: what to invoke, retry, bisect, discard and checkpoint.

Pure: one shard's records, outcomes and the time go in, commands come out; `shard_runner.py` does the I/O.
Where the Lambda developer guide is silent, the choice is what was recorded from AWS; where nothing was
recorded, it is ours and named here:

- ParallelizationFactor p makes p lanes; md5(partition key) modulo p names a record's lane.  A failing lane
  holds up itself, the others go on.  The checkpoint lies before the lowest record that is not done.
- A failing batch is bisected at once, older half first, the odd record in the older half; only a batch that
  is neither bisected nor advanced by a partial response uses up its retries, after a backoff.
- A batching window that passes without a record is followed by the next one.
- A record that does not fit into an invocation is discarded as `RecordTooLarge`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from hashlib import md5
from typing import NamedTuple

from local.event_sources.batch_item_failures import Failures, checkpoint_of, interpret
from local.event_sources.batching import MAX_EVENT_BYTES, PendingRecords, StreamRecord
from local.event_sources.settings import KinesisSettings
from local.sandbox.outcome import Ending, Outcome

RETRY_ATTEMPTS_EXHAUSTED = "RetryAttemptsExhausted"
RECORD_AGE_EXCEEDED = "RecordAgeExceeded"
RECORD_TOO_LARGE = "RecordTooLarge"  # ours: what AWS calls it is not known

#: Bytes of records that a shard holds in memory before reading waits for the function.
BUFFER_BYTES = 32 * 1024 * 1024


class Invoke(NamedTuple):
    """Give this batch to the function, and `finished` the outcome."""

    lane: int
    records: Sequence[StreamRecord]
    attempt: int  # 1 for the first try


class Processed(NamedTuple):
    """The function has succeeded on these records."""

    records: Sequence[StreamRecord]


class Bisected(NamedTuple):
    """A failed batch of `batch_size` records was split in two."""

    batch_size: int


class Discard(NamedTuple):
    """Send one message about this batch to the failure destination, and go on without it."""

    records: Sequence[StreamRecord]
    condition: str
    invoke_count: int
    request_id: str | None  # of the last invocation; None when there was none
    outcome: Outcome | None  # what the last invocation answered; None when that is not why


class Checkpoint(NamedTuple):
    """Everything up to and including this sequence number is done."""

    sequence_number: str


Command = Invoke | Processed | Bisected | Discard | Checkpoint


class _Part:
    """A batch, or what partial responses and bisecting have left of it, on its way through its attempts."""

    def __init__(self, records: Sequence[StreamRecord]) -> None:
        self.records = records
        self.attempts = 0  # invocations that reached the function
        self.undelivered = 0
        self.request_id: str | None = None


class _Lane:
    def __init__(self, pending: PendingRecords, window_ends: float) -> None:
        self.pending = pending
        self.parts: list[_Part] = []  # oldest last
        self.in_flight: _Part | None = None
        self.window_ends = window_ends
        self.not_before = float("-inf")


class ShardMachine:
    """One shard's batches.  Times are seconds on any one clock that record arrivals are given on too.

    Call `add` with what was read, in order, `finished` with each outcome, and `due` after both and at
    `next_wakeup`; carry the commands out in order.  Not safe for several threads.
    """

    def __init__(
        self,
        settings: KinesisSettings,
        *,
        now: float,
        backoff: Callable[[int], float],
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """`backoff` is the pause in seconds after a batch's n-th failure in a row."""
        self._settings = settings
        self._backoff = backoff
        self._lanes = [
            _Lane(PendingRecords(settings.batch_size, max_event_bytes), now + settings.window_s)
            for _ in range(settings.parallelization_factor)
        ]
        self._incomplete: deque[StreamRecord] = deque()  # in the shard's order, the first one not done
        self._completed: set[str] = set()  # done, while an older record of another lane is not
        self._held = self._held_bytes = 0

    def add(self, records: Iterable[StreamRecord], now: float) -> None:
        """Take over records read from the shard."""
        window_s = self._settings.window_s
        for record in records:
            lane = self._lanes[self._lane_of(record.partition_key)]
            if window_s and not lane.pending and now >= lane.window_ends:
                lane.window_ends = now + window_s - (now - lane.window_ends) % window_s
            lane.pending.add(record)
            self._incomplete.append(record)
            self._held += 1
            self._held_bytes += len(record.entry)

    def due(self, now: float) -> list[Command]:
        """Return the commands to carry out now."""
        commands: list[Command] = []
        for number, lane in enumerate(self._lanes):
            while lane.in_flight is None and self._take_part(lane, now, commands):
                part = lane.parts[-1]
                self._discard_expired(part, now, commands)
                if part.records:
                    lane.in_flight = part
                    commands.append(Invoke(number, part.records, part.attempts + 1))
                lane.parts.pop()
        return commands

    def finished(self, lane_number: int, outcome: Outcome, now: float) -> list[Command]:
        """Take in the outcome of the lane's invocation; returns the commands that follow from it."""
        lane = self._lanes[lane_number]
        part, lane.in_flight = lane.in_flight, None
        if part is None:
            raise ValueError(f"lane {lane_number} has no invocation in flight")
        lane.window_ends = now + self._settings.window_s
        part.request_id = outcome.request_id
        if outcome.ending is Ending.UNDELIVERED:
            part.undelivered += 1
            self._retry(lane, part, now)
            return []
        part.attempts += 1
        commands: list[Command] = []
        done = self._done_before(part.records, outcome)
        if done == len(part.records):
            self._complete(Processed(part.records), commands)
        elif done:
            lane.parts.append(_Part(part.records[done:]))
            self._complete(Processed(part.records[:done]), commands)
        elif self._settings.bisect and len(part.records) > 1:
            half = (len(part.records) + 1) // 2
            lane.parts += _Part(part.records[half:]), _Part(part.records[:half])
            commands.append(Bisected(len(part.records)))
        elif part.attempts > self._settings.retry_attempts != -1:
            condition = RETRY_ATTEMPTS_EXHAUSTED
            discard = Discard(part.records, condition, part.attempts, part.request_id, outcome)
            self._complete(discard, commands)
        else:
            self._retry(lane, part, now)
        return commands

    @property
    def next_wakeup(self) -> float | None:
        """When `due` will have something to do if nothing else happens; None for never.  Ask after `due`."""
        times = [
            lane.not_before if lane.parts else lane.window_ends
            for lane in self._lanes
            if lane.in_flight is None and (lane.parts or lane.pending)
        ]
        return min(times, default=None)

    @property
    def wants_records(self) -> bool:
        """Whether reading on makes sense: false while the function is behind."""
        enough = 2 * self._settings.batch_size * self._settings.parallelization_factor
        return self._held < enough and self._held_bytes < BUFFER_BYTES

    @property
    def is_idle(self) -> bool:
        """Whether every record taken over is done."""
        return self._held == 0

    def _lane_of(self, partition_key: str) -> int:
        lanes = len(self._lanes)
        if lanes == 1:
            return 0
        return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest(), "big") % lanes

    def _take_part(self, lane: _Lane, now: float, commands: list[Command]) -> bool:
        """Whether there is a part to invoke now; cuts a new batch when the last one is done."""
        while not lane.parts:
            window_over = not self._settings.window_s or now >= lane.window_ends
            if not lane.pending or not (window_over or lane.pending.is_full):
                return False
            batch = lane.pending.cut()
            if lane.pending.is_oversized(batch[0]):
                self._complete(Discard(batch, RECORD_TOO_LARGE, 1, None, None), commands)
            else:
                lane.parts.append(_Part(batch))
                lane.not_before = now
        return now >= lane.not_before

    def _discard_expired(self, part: _Part, now: float, commands: list[Command]) -> None:
        """Discard the part's oldest records that are older than the mapping allows, and only those."""
        max_age = self._settings.record_age_s
        if max_age == -1:
            return
        expired = 0
        while expired < len(part.records) and now - part.records[expired].arrived_at > max_age:
            expired += 1
        if expired:
            old, part.records = part.records[:expired], part.records[expired:]
            discard = Discard(old, RECORD_AGE_EXCEEDED, part.attempts + 1, part.request_id, None)
            self._complete(discard, commands)

    def _done_before(self, records: Sequence[StreamRecord], outcome: Outcome) -> int:
        """How many of the oldest records the function has succeeded on."""
        if outcome.function_error is not None:
            return 0
        numbers = [record.sequence_number for record in records]
        verdict = interpret(outcome.payload, numbers, reported=self._settings.partial_responses)
        if not isinstance(verdict, Failures):
            return 0
        return numbers.index(checkpoint_of(verdict)) if verdict.identifiers else len(records)

    def _retry(self, lane: _Lane, part: _Part, now: float) -> None:
        lane.parts.append(part)
        lane.not_before = now + self._backoff(part.attempts + part.undelivered)

    def _complete(self, command: Processed | Discard, commands: list[Command]) -> None:
        """These records are done; the checkpoint follows once no older one is left."""
        commands.append(command)
        for record in command.records:
            self._completed.add(record.sequence_number)
            self._held -= 1
            self._held_bytes -= len(record.entry)
        checkpoint = None
        while self._incomplete and self._incomplete[0].sequence_number in self._completed:
            checkpoint = self._incomplete.popleft().sequence_number
            self._completed.remove(checkpoint)
        if checkpoint is not None:
            commands.append(Checkpoint(checkpoint))


def exponential_backoff(
    failures: int, initial_s: float = 0.1, factor: float = 2.0, max_s: float = 10.0
) -> float:
    """Return the pause after a batch's n-th failure in a row.

    AWS's schedule is not documented; this one is short enough to be watched.
    """
    return min(max_s, initial_s * factor ** min(failures - 1, 64))
