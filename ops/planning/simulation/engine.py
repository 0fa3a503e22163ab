"""A discrete-event simulation of the pipeline: producers, shards, Lambda's pollers and batches, DynamoDB.

Pure: settings, a load and a source of random numbers in, figures out.  Events are reads of shards, ends of
invocations and tries to write; records travel as chunks (`capacity_model.py`).  The rules are those of
`local/event_sources/shard_state_machine.py` (lanes, batches, windows, halving, retries) and of
`chalicelib` (25 items a request, backoff with full jitter until the deadline, then a partial batch response).

Not simulated: hot keys, splits and merges, a stream that forgets, the age at which a mapping gives up.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Sequence

from chalicelib.tables.errors import FIRST_PAUSE_S, LONGEST_PAUSE_S, RESERVE_S, RESERVE_SHARE
from chalicelib.tables.history import MAX_BATCH_ITEMS
from ops.planning import capacity
from ops.planning.simulation.capacity_model import Chunk, Inlet, Queue, Table
from ops.planning.simulation.figures import Histogram, Timeline
from ops.planning.simulation.producer import Portion, Producer
from ops.planning.simulation.scenario import Load, Result, Settings, divided, weights
from ops.planning.simulation.state import Invocation, Lane, Part, Shard

#: What one GetRecords brings at most (Kinesis API reference).
MAX_READ_RECORDS, MAX_READ_BYTES = 10_000, 10 * capacity.MB

#: Pause before a record that failed alone is tried again: the first, and the longest.
RETRY_S, LONGEST_RETRY_S = 0.1, 10.0


def simulate(settings: Settings, load: Load, rng: random.Random) -> Result:
    """Run the load through the pipeline until every event has its place.

    Raises ValueError for a table that can never take one of its events.
    """
    settings.require_room_for(load)
    return _Run(settings, load, rng).to_the_end()


class _Run:
    def __init__(self, settings: Settings, load: Load, rng: random.Random) -> None:
        self._settings = settings
        self._load = load
        self._rng = rng
        record_bytes = load.record_bytes
        self._each = (
            load.events_per_record
        )  # from here on what is counted are records, and events where it says so
        self._read_at_most = max(1, min(MAX_READ_RECORDS, int(MAX_READ_BYTES / record_bytes)))
        self._read_bytes_s = settings.shard_out_bytes_s / record_bytes
        self._batch = capacity.records_per_invocation(settings.batch_size, record_bytes)
        self._units = capacity.write_units(load.event_bytes)
        self._table = Table(settings.write_units_s, settings.saved_s)
        # Lambda stops reading while a shard's lanes have two batches each (as the local mapping does).
        self._enough = 2 * settings.batch_size * settings.parallelization
        self._events: list[tuple[float, int, int, _What]] = []
        self._ticket = 0
        self._running = self._created = self._most_running = 0
        self._without_room: deque[Lane] = deque()
        self._left = load.flow_records + load.burst_records
        self._taken_in = 0  # by all shards, up to each one's last look
        self._burst_in_at = -math.inf  # when shards had taken in the last of the burst
        self._burst_left = 0  # what was taken in by then and is not done
        self._burst_done_at: float | None = None
        self._timeline = Timeline()
        self._latency = Histogram()
        self._age = self._lambda_s = self._done_at = 0.0
        self._stored = self._dead = self._reads = self._invocations = self._given = 0
        self._failed = self._timed_out = self._partial = self._throttles = self._no_room = 0
        limit_s = min(settings.shard_records_s, settings.shard_in_bytes_s / record_bytes)
        flow = load.flow_records
        spread = weights(settings.shards, load.keys, rng)  # flow and burst are of the same products
        self._shards = [
            Shard(
                Inlet(
                    load.events_s / self._each * count / flow if flow else 0.0,
                    load.seconds if flow else 0.0,
                    count,
                    limit_s,
                ),
                settings.parallelization,
                settings.window_s,
                # Before anything comes there is nothing to read.
                (0.0 if flow else load.burst_at) + rng.random() * settings.poll_s,
            )
            for count in divided(flow, spread)
        ]
        self._producer = Producer(divided(load.burst_records, spread), record_bytes, load.producers, rng)

    def to_the_end(self) -> Result:
        for shard in self._shards:
            self._at(shard.next_read_at, _READ, shard)
        self._at(self._load.burst_at, _PUT, None)
        now = 0.0
        while self._left:
            now, _, kind, what = heapq.heappop(self._events)
            if kind == _READ:
                assert isinstance(what, Shard)
                self._read(what, now)
            elif kind == _WRITE:
                assert isinstance(what, Invocation)
                self._write(what, now)
            elif kind == _START:
                assert isinstance(what, Lane)
                self._start(what, now)
            else:
                assert what is None or isinstance(what, list)
                self._put(what, now)
        return self._result()

    def _at(self, when: float, kind: int, what: "_What") -> None:
        self._ticket += 1
        heapq.heappush(self._events, (when, self._ticket, kind, what))

    def _put(self, answered: list[Portion] | None, now: float) -> None:
        """Take in the answer to a request, and send what there is to send."""
        producer = self._producer
        if answered is not None:
            producer.in_flight -= 1
            for portion in answered:
                shard = self._shards[portion.shard]
                refused = portion.records - shard.inlet.offer(portion.records, now)
                if rejected := producer.answered(portion, refused, now):
                    self._left -= rejected
                    self._done_at = now
                    self._timeline.add(now, given_up=rejected * self._each)
            if producer.is_done:
                self._burst_is_in(now)
        while (request := producer.request(now)) is not None:
            self._at(now + self._load.put_s, _PUT, request)
        if not producer.in_flight and (due := producer.next_due) is not None:
            self._at(due, _PUT, None)

    def _burst_is_in(self, now: float) -> None:
        """From here on what comes is not the burst's: chunks end here."""
        for shard in self._shards:
            self._take_in(shard, now)
        self._burst_in_at = now
        self._burst_left = self._taken_in - self._stored - self._dead
        if not self._burst_left:
            self._burst_done_at = now

    def _take_in(self, shard: Shard, now: float) -> None:
        arrived = shard.inlet.until(now)
        if arrived is not None:
            shard.stream.put(arrived)
            self._taken_in += arrived.records

    def _read(self, shard: Shard, now: float) -> None:
        shard.is_reading = False
        if shard.held >= self._enough:
            return  # taken up again when an invocation ends
        self._reads += 1
        self._take_in(shard, now)
        read = 0
        for chunk in shard.stream.take(self._read_at_most):
            read += chunk.records
            self._hand_out(shard, chunk, now)
        shard.held += read
        # Behind, Lambda reads on as fast as the shard allows; otherwise once in a while.
        behind_s = max(1 / self._settings.shard_reads_s, read / self._read_bytes_s)
        shard.next_read_at = now + (behind_s if shard.stream.count else self._settings.poll_s)
        self._read_later(shard, now)
        if read:
            for lane in shard.lanes:
                self._start(lane, now)

    def _read_later(self, shard: Shard, now: float) -> None:
        if not shard.is_reading and (shard.stream.count or not self._is_all_in(shard)):
            shard.is_reading = True
            self._at(max(now, shard.next_read_at), _READ, shard)

    def _is_all_in(self, shard: Shard) -> bool:
        """Whether nothing will come to this shard any more that was not read."""
        return shard.inlet.is_drained and self._producer.is_done

    def _hand_out(self, shard: Shard, chunk: Chunk, now: float) -> None:
        """Spread a chunk over the lanes; keys are many, so each gets its part of it."""
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
        """Invoke for this lane if it has something to invoke for, and there is room."""
        if lane.is_busy:
            return
        settings = self._settings
        if not lane.parts:
            waiting = lane.waiting.count
            if not waiting:
                return
            if waiting < self._batch and now < lane.window_ends:
                self._at(lane.window_ends, _START, lane)
                return
        elif now < lane.not_before:
            self._at(lane.not_before, _START, lane)
            return
        if self._running >= settings.concurrency:
            self._no_room += 1
            lane.is_busy = True  # so that it stands in the row once
            self._without_room.append(lane)
            return
        part = lane.parts.pop() if lane.parts else Part(lane.waiting.take(self._batch))
        lane.is_busy = True
        takes_s = settings.handler_s + settings.record_s * part.count * self._each
        takes_s *= 1 + settings.jitter * (2 * self._rng.random() - 1)
        fails = settings.failing > 0 and self._rng.random() < settings.failing
        if takes_s >= settings.timeout_s:  # Lambda ends it, and nothing was returned
            takes_s, fails = settings.timeout_s, True
            self._timed_out += 1
        begins_at = now  # the timeout counts from here: a sandbox's start is not part of it
        if self._running == self._created:
            self._created += 1
            begins_at += settings.cold_start_s
        self._running += 1
        self._most_running = max(self._most_running, self._running)
        self._invocations += 1
        self._given += part.count
        reserve_s = min(RESERVE_S, settings.timeout_s * RESERVE_SHARE)
        invocation = Invocation(lane, part, now, begins_at + settings.timeout_s - reserve_s, fails)
        invocation.items_left = part.count * self._each
        age_s = now - part.chunks[-1].last_at
        self._age = max(self._age, age_s)
        self._timeline.add(now, age_s=age_s, invocations=1)
        self._at(begins_at + takes_s, _WRITE, invocation)

    def _write(self, invocation: Invocation, now: float) -> None:
        """The invocation's requests to DynamoDB, all at one moment; what is refused is tried again."""
        if invocation.fails:
            self._failed += 1
            self._end(invocation, now)
            self._try_again(invocation.lane, invocation.part, now)
            return
        invocation.items_left -= self._table.take(invocation.items_left, self._units, now)
        if not invocation.items_left:
            self._end(invocation, now)
            self._settle(invocation.lane.shard, invocation.part.chunks, now)
            self._start(invocation.lane, now)
            return
        refused = math.ceil(invocation.items_left / MAX_BATCH_ITEMS)
        self._throttles += refused
        self._timeline.add(now, throttles=refused)
        pause_s = self._rng.random() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(invocation.attempt, 16))
        invocation.attempt += 1
        if now + pause_s < invocation.deadline:
            self._at(now + pause_s, _WRITE, invocation)
            return
        self._end(invocation, now)
        self._partial += 1
        lane, part = invocation.lane, invocation.part
        written = part.count - math.ceil(invocation.items_left / self._each)
        if not written:
            self._try_again(lane, part, now)
            return
        queue = Queue()
        for chunk in part.chunks:
            queue.put(chunk)
        self._settle(lane.shard, queue.take(written), now)
        lane.parts.append(Part(queue.take(queue.count)))
        lane.not_before = now
        self._start(lane, now)

    def _try_again(self, lane: Lane, part: Part, now: float) -> None:
        """Nothing of a batch was done: halve it, or try a record again until its retries are used up."""
        if part.count > 1:
            queue = Queue()
            for chunk in part.chunks:
                queue.put(chunk)
            older = queue.take((part.count + 1) // 2)
            lane.parts += Part(queue.take(queue.count)), Part(older)
            lane.not_before = now
        elif part.attempts < self._settings.retry_attempts:
            part.attempts += 1
            lane.parts.append(part)
            lane.not_before = now + min(LONGEST_RETRY_S, RETRY_S * 2 ** min(part.attempts, 16))
        else:
            self._dead += 1
            self._timeline.add(now, given_up=self._each)
            self._done(lane.shard, part.chunks, now)
        self._start(lane, now)

    def _end(self, invocation: Invocation, now: float) -> None:
        lane = invocation.lane
        lane.is_busy = False
        lane.window_ends = now + self._settings.window_s
        self._running -= 1
        self._lambda_s += now - invocation.started_at
        if self._without_room:
            next_lane = self._without_room.popleft()
            next_lane.is_busy = False
            self._start(next_lane, now)

    def _settle(self, shard: Shard, chunks: Sequence[Chunk], now: float) -> None:
        """These records are stored."""
        if not chunks:
            return
        count = 0
        for chunk in chunks:
            count += chunk.records
            self._latency.add(now - (chunk.first_at + chunk.last_at) / 2, chunk.records * self._each)
        self._stored += count
        self._timeline.add(now, stored=count * self._each)
        self._done(shard, chunks, now)

    def _done(self, shard: Shard, chunks: Sequence[Chunk], now: float) -> None:
        """These records have their place."""
        count = sum(chunk.records for chunk in chunks)
        self._left -= count
        self._done_at = now
        if self._burst_left:
            self._burst_left -= sum(chunk.records for chunk in chunks if chunk.last_at <= self._burst_in_at)
            if not self._burst_left:
                self._burst_done_at = now
        shard.held -= count
        if shard.held < self._enough:
            self._read_later(shard, now)

    def _result(self) -> Result:
        load = self._load
        burst_stored_s = None
        if load.burst and self._burst_done_at is not None:
            burst_stored_s = self._burst_done_at - load.burst_at
        return Result(
            events=load.events,
            stored=self._stored * self._each,
            dead_lettered=self._dead * self._each,
            rejected=self._producer.rejected * self._each,
            drained_s=self._done_at,
            burst_stored_s=burst_stored_s,
            iterator_age_s=self._age,
            latency_s={f"p{rank}": self._latency.percentile(rank) for rank in (50, 95, 99)},
            reads=self._reads,
            invocations=self._invocations,
            records_given=self._given,
            failed_invocations=self._failed,
            timed_out_invocations=self._timed_out,
            partial_invocations=self._partial,
            cold_starts=self._created,
            concurrency=self._most_running,
            lambda_s=self._lambda_s,
            write_throttles=self._throttles,
            put_throttles=self._producer.refusals,
            concurrency_throttles=self._no_room,
            timeline=self._timeline.moments(),
        )


_READ, _WRITE, _START, _PUT = range(4)

_What = Shard | Lane | Invocation | list[Portion] | None
