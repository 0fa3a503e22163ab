"""A discrete-event simulation of the pipeline: producers, shards, Lambda's pollers and batches, DynamoDB.

Settings, a load and a source of random numbers give a result; nothing else is read.  The agenda is a heap of
moments and what happens then: requests of the producer, reads of shards, starts and writes of invocations.
Records travel as chunks (`capacity_model.py`).  The rules are those of
`local/event_sources/shard_state_machine.py` (lanes, batches, windows, bisecting, retries) and of `chalicelib`
(25 items per request, backoff with full jitter until the deadline, then a partial batch response).

Not simulated: hot keys, splits and merges, retention, the maximum age of records.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from functools import partial

from chalicelib.deadline import FIRST_PAUSE_S, MAX_PAUSE_S, RESERVE_S, RESERVE_SHARE
from chalicelib.tables.history import MAX_BATCH_ITEMS
from ops.planning import capacity
from ops.planning.simulation.capacity_model import Chunk, ChunkQueue, Inlet, Table
from ops.planning.simulation.ledger import Ledger
from ops.planning.simulation.producer import BurstProducer, Portion
from ops.planning.simulation.scenario import OfferedLoad, Result, Settings, divided, weights
from ops.planning.simulation.state import Batch, Invocation, Lane, Shard

#: What one GetRecords returns at most (Kinesis API reference).
MAX_READ_RECORDS, MAX_READ_BYTES = 10_000, 10 * capacity.MB

#: Pause before a record that failed alone is tried again: the first, and the longest.
RETRY_S, MAX_RETRY_S = 0.1, 10.0


def simulate(settings: Settings, load: OfferedLoad, rng: random.Random) -> Result:
    """Run the load through the pipeline until every event is stored, rejected or dead-lettered.

    Raises ValueError for a table that can never take one of its events.
    """
    settings.require_room_for(load)
    return _Run(settings, load, rng).to_the_end()


class _Run:
    """A run of the pipeline.  Counts are in records, and in events where a name says so."""

    def __init__(self, settings: Settings, load: OfferedLoad, rng: random.Random) -> None:
        self._settings = settings
        self._load = load
        self._rng = rng
        record_bytes = load.record_bytes
        self._events_each = load.events_per_record
        self._max_read = max(1, min(MAX_READ_RECORDS, int(MAX_READ_BYTES / record_bytes)))
        self._read_bytes_s = settings.shard_out_bytes_s / record_bytes
        self._full_batch = capacity.records_per_invocation(settings.batch_size, record_bytes)
        self._units_each = capacity.write_units(load.event_bytes)
        self._table = Table(settings.write_units_s, settings.saved_s)
        # Lambda stops reading while a shard's lanes have two batches each (as the local mapping does).
        self._enough = 2 * settings.batch_size * settings.parallelization
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._ticket = 0
        self._running = self._sandboxes = 0
        self._without_room: deque[Lane] = deque()
        self._ledger = Ledger(load)
        limit_s = min(settings.shard_records_s, settings.shard_in_bytes_s / record_bytes)
        flow = load.flow_records
        spread = weights(settings.shards, load.keys, rng)  # flow and burst are of the same products
        self._shards = [
            Shard(
                Inlet(
                    load.events_s / self._events_each * count / flow if flow else 0.0,
                    load.seconds if flow else 0.0,
                    count,
                    limit_s,
                ),
                settings.parallelization,
                settings.window_s,
                # Before anything arrives there is nothing to read.
                (0.0 if flow else load.burst_at) + rng.random() * settings.poll_s,
            )
            for count in divided(flow, spread)
        ]
        self._producer = BurstProducer(divided(load.burst_records, spread), record_bytes, load.producers, rng)

    def to_the_end(self) -> Result:
        for shard in self._shards:
            self._at(shard.next_read_at, partial(self._read, shard))
        self._at(self._load.burst_at, self._put)
        while self._ledger.left:
            now, _, happens = heapq.heappop(self._agenda)
            happens(now)
        return self._ledger.result()

    def _at(self, when: float, happens: Callable[[float], None]) -> None:
        self._ticket += 1
        heapq.heappush(self._agenda, (when, self._ticket, happens))

    def _put(self, now: float) -> None:
        """Send the requests that the producer has ready."""
        producer = self._producer
        while (request := producer.request(now)) is not None:
            self._at(now + self._load.put_s, partial(self._answer, request))
        if not producer.in_flight and (due := producer.next_due) is not None:
            self._at(due, self._put)

    def _answer(self, request: list[Portion], now: float) -> None:
        """Let shards take in a request as far as they do, and tell the producer."""
        producer = self._producer
        producer.in_flight -= 1
        for portion in request:
            taken = self._shards[portion.shard].inlet.offer(portion.records, now)
            refused = portion.records - taken
            self._ledger.refuse(refused)
            if rejected := producer.answer(portion, refused, now):
                self._ledger.reject(rejected, now)
        if producer.is_done:
            # From here on what arrives is not the burst's: chunks end here.
            for shard in self._shards:
                self._take_in(shard, now)
            self._ledger.end_burst(now)
        self._put(now)

    def _take_in(self, shard: Shard, now: float) -> None:
        arrived = shard.inlet.until(now)
        if arrived is not None:
            shard.stream.put(arrived)
            self._ledger.take_in(arrived.records)

    def _read(self, shard: Shard, now: float) -> None:
        shard.is_reading = False
        if shard.held >= self._enough:
            return  # taken up again when an invocation ends
        self._ledger.reads += 1
        self._take_in(shard, now)
        read = 0
        for chunk in shard.stream.take(self._max_read):
            read += chunk.records
            self._hand_out(shard, chunk, now)
        shard.held += read
        # Behind, Lambda reads on as fast as the shard allows; otherwise at its interval.
        behind_s = max(1 / self._settings.shard_reads_s, read / self._read_bytes_s)
        shard.next_read_at = now + (behind_s if shard.stream.count else self._settings.poll_s)
        self._read_later(shard, now)
        if read:
            for lane in shard.lanes:
                self._start(lane, now)

    def _read_later(self, shard: Shard, now: float) -> None:
        is_all_in = shard.inlet.is_drained and self._producer.is_done
        if not shard.is_reading and (shard.stream.count or not is_all_in):
            shard.is_reading = True
            self._at(max(now, shard.next_read_at), partial(self._read, shard))

    def _hand_out(self, shard: Shard, chunk: Chunk, now: float) -> None:
        """Spread a chunk over the lanes evenly, as many keys would."""
        lanes = shard.lanes
        window_s = self._settings.window_s
        each, odd = divmod(chunk.records, len(lanes))
        first = self._rng.randrange(len(lanes)) if odd else 0
        for number, lane in enumerate(lanes):
            count = each + ((number - first) % len(lanes) < odd)
            if not count:
                continue
            if window_s and not lane.waiting.count and now >= lane.window_ends:
                lane.window_ends = now + window_s - (now - lane.window_ends) % window_s
            lane.waiting.put(Chunk(count, chunk.first_at, chunk.last_at))

    def _start(self, lane: Lane, now: float) -> None:
        """Invoke for this lane if a batch is due and the concurrency allows."""
        if lane.is_busy:
            return
        if not lane.batches:
            waiting = lane.waiting.count
            if not waiting:
                return
            if waiting < self._full_batch and now < lane.window_ends:
                self._at(lane.window_ends, partial(self._start, lane))
                return
        elif now < lane.not_before:
            self._at(lane.not_before, partial(self._start, lane))
            return
        if self._running >= self._settings.concurrency:
            self._ledger.concurrency_throttles += 1
            lane.is_busy = True  # so that it queues once
            self._without_room.append(lane)
            return
        lane.is_busy = True
        batch = lane.batches.pop() if lane.batches else Batch(lane.waiting.take(self._full_batch))
        self._invoke(lane, batch, now)

    def _invoke(self, lane: Lane, batch: Batch, now: float) -> None:
        settings, ledger = self._settings, self._ledger
        takes_s = settings.handler_s + settings.record_s * batch.count * self._events_each
        takes_s *= 1 + settings.jitter * (2 * self._rng.random() - 1)
        fails = settings.failing > 0 and self._rng.random() < settings.failing
        if takes_s >= settings.timeout_s:  # Lambda ends it, and nothing was returned
            takes_s, fails = settings.timeout_s, True
            ledger.timed_out += 1
        begins_at = now  # the timeout counts from here: a sandbox's start is not part of it
        if self._running == self._sandboxes:
            self._sandboxes += 1
            ledger.cold_starts += 1
            begins_at += settings.cold_start_s
        self._running += 1
        ledger.max_running = max(ledger.max_running, self._running)
        ledger.invoke(batch.count, now - batch.chunks[-1].last_at, now)
        reserve_s = min(RESERVE_S, settings.timeout_s * RESERVE_SHARE)
        invocation = Invocation(
            lane, batch, now, begins_at + settings.timeout_s - reserve_s, batch.count * self._events_each
        )
        self._at(begins_at + takes_s, partial(self._fail if fails else self._write, invocation))

    def _fail(self, invocation: Invocation, now: float) -> None:
        self._ledger.failed += 1
        self._end(invocation, now)
        self._try_again(invocation.lane, invocation.batch, now)

    def _write(self, invocation: Invocation, now: float) -> None:
        """Make the invocation's requests to DynamoDB, all at one moment; what is refused is tried again."""
        invocation.events_left -= self._table.take(invocation.events_left, self._units_each, now)
        if not invocation.events_left:
            self._end(invocation, now)
            self._store(invocation.lane.shard, invocation.batch.chunks, now)
            self._start(invocation.lane, now)
            return
        self._ledger.throttle_writes(math.ceil(invocation.events_left / MAX_BATCH_ITEMS), now)
        pause_s = self._rng.random() * min(MAX_PAUSE_S, FIRST_PAUSE_S * 2 ** min(invocation.attempt, 16))
        invocation.attempt += 1
        if now + pause_s < invocation.deadline:
            self._at(now + pause_s, partial(self._write, invocation))
            return
        self._end(invocation, now)
        self._report(invocation, now)

    def _report(self, invocation: Invocation, now: float) -> None:
        """Return a partial batch response: what is written is done, the rest comes again."""
        self._ledger.partial += 1
        lane, batch = invocation.lane, invocation.batch
        written = batch.count - math.ceil(invocation.events_left / self._events_each)
        if not written:
            self._try_again(lane, batch, now)
            return
        queue = ChunkQueue(batch.chunks)
        self._store(lane.shard, queue.take(written), now)
        lane.batches.append(Batch(queue.take(queue.count)))
        lane.not_before = now
        self._start(lane, now)

    def _try_again(self, lane: Lane, batch: Batch, now: float) -> None:
        """Bisect a batch of which nothing was done, or retry a record until its retries are used up."""
        if batch.count > 1:
            queue = ChunkQueue(batch.chunks)
            older = queue.take((batch.count + 1) // 2)
            lane.batches += Batch(queue.take(queue.count)), Batch(older)
            lane.not_before = now
        elif batch.attempts < self._settings.retry_attempts:
            batch.attempts += 1
            lane.batches.append(batch)
            lane.not_before = now + min(MAX_RETRY_S, RETRY_S * 2 ** min(batch.attempts, 16))
        else:
            self._release(lane.shard, self._ledger.dead_letter(batch.chunks, now), now)
        self._start(lane, now)

    def _end(self, invocation: Invocation, now: float) -> None:
        lane = invocation.lane
        lane.is_busy = False
        lane.window_ends = now + self._settings.window_s
        self._running -= 1
        self._ledger.lambda_s += now - invocation.started_at
        if self._without_room:
            next_lane = self._without_room.popleft()
            next_lane.is_busy = False
            self._start(next_lane, now)

    def _store(self, shard: Shard, chunks: list[Chunk], now: float) -> None:
        if chunks:
            self._release(shard, self._ledger.store(chunks, now), now)

    def _release(self, shard: Shard, records: int, now: float) -> None:
        """Make room for reading: these records are done."""
        shard.held -= records
        if shard.held < self._enough:
            self._read_later(shard, now)
