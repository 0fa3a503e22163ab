"""Entries onto the stream, each at least once and a product's in the order given.

The only place that calls PutRecords.  Several requests are in flight; only entries that were refused are
sent again, after a backoff with jitter.  PutRecords keeps no order inside a request once an entry of it is
refused, so a request holds one entry of a partition key, and the next goes out after its predecessor was
accepted.  Where nobody needs that order, `ordered=False` fills requests whatever their keys.

A request that got no answer may have been carried out: it is sent again, and what arrives twice is stored
once, because an event's key is its content.
"""

import heapq
import itertools
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import one_core
from producer import refusals
from producer.entry import Entry, refused_because, size_of
from producer.refusals import StreamUnavailableError
from producer.report import Rejected, Report

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef, PutRecordsResultEntryTypeDef

# Limits of a request (Kinesis API reference, PutRecords).
MAX_RECORDS = 500
MAX_REQUEST_BYTES = 10 * 1024 * 1024
OLDER_MAX_REQUEST_BYTES = 5 * 1024 * 1024  # what Kinesis took until 2025, and emulators still do

#: Requests under way at once.
IN_FLIGHT = 4

#: Entries read ahead in search of a request's worth of different partition keys.
READ_AHEAD = 10 * MAX_RECORDS

#: The same in bytes, whatever the size of the entries: bounds memory.
READ_AHEAD_BYTES = 4 * MAX_REQUEST_BYTES

#: An entry is tried so often: about a minute and a half of backoff in all.  In a burst of 50,000 on shards at
#: their limit, one has been seen refused twelve times running.
ATTEMPTS = 40
BACKOFF_S, BACKOFF_LIMIT_S = 0.1, 5.0

#: When requests have got no answer for so long, nobody is there.
UNANSWERED_S = 20.0

#: Refused entries come back at multiples of this, so that they share requests.
TICK_S = 0.05

#: With a rate, what has come due is sent together at least this often.
PACE_S = 0.1


class _Item:
    """An entry on its way: how often it was tried, and its size as PutRecords counts it."""

    __slots__ = ("attempts", "bytes", "entry")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.attempts = 0
        self.bytes = size_of(entry)


class _Answer(NamedTuple):
    """One request's outcome: a result per item, or what went wrong with all of it."""

    results: "Sequence[PutRecordsResultEntryTypeDef]"
    error: Exception | None
    at: float


class Putter:
    """Puts entries on one stream.

    `kinesis` should not retry by itself, or refusals are retried twice.  `on_accepted` gets the entry, the
    shard id, the sequence number and the time of acceptance in epoch seconds; `on_answer` gets the report
    after every request.  Both are called in the thread that called `send`.  `rate` is in entries a second.
    """

    def __init__(
        self,
        kinesis: "KinesisClient",
        stream: str,
        *,
        on_accepted: Callable[[Entry, str, str, float], None] | None = None,
        on_answer: Callable[[Report], None] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        in_flight: int = IN_FLIGHT,
        ordered: bool = True,
        rate: float | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._on_accepted = on_accepted
        self._on_answer = on_answer
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._in_flight = in_flight
        self._ordered = ordered
        self._rate = rate
        self._unanswered_since: float | None = None  # by requests, one after the other
        self.report = Report(stream)
        self._request_bytes = MAX_REQUEST_BYTES
        self._ready: deque[_Item] = deque()
        # With order: each key that has an item ready, under way or refused, and the items behind that one.
        self._behind: dict[str, deque[_Item]] = {}
        self._count_behind = 0
        self._refused: list[tuple[float, int, _Item]] = []  # heap: when to try again, in which order
        self._bytes = 0  # of all the items that are not done with
        self._tickets = itertools.count()
        self._under_way: dict[Future[_Answer], list[_Item]] = {}

    def send(self, entries: Iterable[Entry | None]) -> Report:
        """Put every entry, and return when each was accepted or finally refused.

        None among the entries says that the next may take a while: what has been read goes out.
        Raises StreamUnavailableError when going on is pointless.  Then, and on KeyboardInterrupt, what was
        read but not accepted stands in `report.unsent`, and the rest of `entries` has not been read.
        """
        with one_core.staying():  # reading and generating entries is most of the work
            return self._send(iter(entries))

    def _send(self, source: Iterator[Entry | None]) -> Report:
        started = self._clock()
        pool = ThreadPoolExecutor(self._in_flight, thread_name_prefix="put-records")
        try:
            self._run(source, pool, started)
        finally:
            pool.shutdown(wait=True)  # requests under way count: their records are on the stream
            self._close()
            self.report.seconds = self._clock() - started
        return self.report

    def _run(self, source: Iterator[Entry | None], pool: ThreadPoolExecutor, started: float) -> None:
        is_exhausted = False
        pulled = 0
        sent_at = started
        while True:
            now = self._clock()
            while self._refused and self._refused[0][0] <= now:
                # First in line: what was refused goes before what has not been tried.
                self._ready.appendleft(heapq.heappop(self._refused)[2])
            due = pulled + MAX_RECORDS if self._rate is None else int((now - started) * self._rate) + 1
            is_idle = False
            while not is_exhausted and not is_idle and pulled < due and self._has_room():
                try:
                    entry = next(source)
                except StopIteration:
                    is_exhausted = True
                    break
                if entry is None:
                    is_idle = True
                else:
                    pulled += 1
                    self._take(entry)
            # A request leaves when it is full, or when waiting would not fill it.
            is_paced = self._rate is not None and pulled >= due and not is_exhausted
            is_urgent = is_exhausted or is_idle or not self._has_room() or now - sent_at >= PACE_S
            if len(self._under_way) < self._in_flight and (
                len(self._ready) >= MAX_RECORDS or (self._ready and is_urgent)
            ):
                items = self._batch()
                self._under_way[pool.submit(self._put, items)] = items
                sent_at = now
            elif is_exhausted and not (self._ready or self._under_way or self._refused):
                return
            elif is_idle:
                self._wait(now, until=now)  # the source itself waits
            elif self._rate is None and not is_exhausted and self._has_room():
                self._wait(now, until=now)  # there is more to read meanwhile
            else:
                self._wait(now, until=now + PACE_S if is_paced else None)

    def _has_room(self) -> bool:
        """Whether to read on.  A stream that refuses much is not given more."""
        return (
            len(self._ready) < MAX_RECORDS
            and len(self._ready) + self._count_behind < READ_AHEAD
            and len(self._refused) < MAX_RECORDS
            and self._bytes < READ_AHEAD_BYTES
        )

    def _take(self, entry: Entry) -> None:
        item = _Item(entry)
        if reason := refused_because(entry, item.bytes):
            self._reject(entry, reason)
            return
        self._bytes += item.bytes
        self._enqueue(item)

    def _enqueue(self, item: _Item) -> None:
        key = item.entry.partition_key
        if not self._ordered:
            self._ready.append(item)
        elif key in self._behind:
            self._behind[key].append(item)
            self._count_behind += 1
        else:
            self._behind[key] = deque()
            self._ready.append(item)

    def _batch(self) -> list[_Item]:
        items: list[_Item] = []
        size = 0
        while self._ready and len(items) < MAX_RECORDS:
            size += self._ready[0].bytes
            if items and size > self._request_bytes:
                break
            items.append(self._ready.popleft())
        return items

    def _put(self, items: list[_Item]) -> _Answer:
        """Runs in a thread of the pool."""
        records = [_record(item.entry) for item in items]
        try:
            answer = self._kinesis.put_records(StreamName=self.report.stream, Records=records)
        except (ClientError, BotoCoreError) as exc:
            return _Answer((), exc, self._clock())
        return _Answer(answer["Records"], None, self._clock())

    def _wait(self, now: float, until: float | None) -> None:
        """Until a request is answered, a refused entry comes due or the pace allows more."""
        moments = [self._refused[0][0]] if self._refused else []
        if until is not None:
            moments.append(until)
        seconds = max(0.0, min(moments) - now) if moments else None
        if self._under_way:
            answered, _ = wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)
            for future in [each for each in self._under_way if each in answered]:  # the oldest first
                self._settle(self._under_way.pop(future), future.result())
        elif seconds is not None:
            self._sleep(seconds)

    def _settle(self, items: list[_Item], answer: _Answer) -> None:
        """Book one request's outcome.  Raises StreamUnavailableError when trying again is pointless."""
        self.report.requests += 1
        if answer.error is not None:
            self._settle_error(items, answer.error, answer.at)
            return
        self._unanswered_since = None
        for item, result in zip(items, answer.results, strict=True):
            if code := result.get("ErrorCode"):
                self._try_again(item, f"{code}: {result.get('ErrorMessage')}", answer.at)
                continue
            self.report.shards.add(result["ShardId"])
            self._release(item)
            for single in item.entry.singles:
                self.report.accepted[single.kind] += 1
                if self._on_accepted is not None:
                    self._on_accepted(single, result["ShardId"], result["SequenceNumber"], answer.at)
        if self._on_answer is not None:
            self._on_answer(self.report)

    def _settle_error(self, items: list[_Item], error: Exception, at: float) -> None:
        if refusals.is_too_large(error) and sum(item.bytes for item in items) > OLDER_MAX_REQUEST_BYTES:
            self._request_bytes = OLDER_MAX_REQUEST_BYTES
            self._ready.extendleft(reversed(items))
            return
        if isinstance(error, ClientError):
            self._unanswered_since = None  # an answer, if not the one hoped for
        elif self._unanswered_since is None:
            self._unanswered_since = at
        is_last = self._unanswered_since is not None and at - self._unanswered_since >= UNANSWERED_S
        unavailable = refusals.unavailable(
            self.report.stream, error, is_known=self.report.sent > 0, is_last=is_last
        )
        if unavailable is not None:
            self._ready.extend(items)  # not sent, and not forgotten
            raise unavailable from error
        for item in items:
            self._try_again(item, str(error), at)

    def _try_again(self, item: _Item, reason: str, at: float) -> None:
        item.attempts += 1
        if item.attempts >= ATTEMPTS:
            self._reject(item.entry, f"{reason} (after {item.attempts} attempts)")
            self._release(item)
            return
        self.report.retried += 1
        # Full jitter: entries refused together do not come back together.
        pause = self._rng.uniform(0, min(BACKOFF_LIMIT_S, BACKOFF_S * 2**item.attempts))
        due = math.ceil((at + pause) / TICK_S) * TICK_S
        heapq.heappush(self._refused, (due, next(self._tickets), item))

    def _reject(self, entry: Entry, reason: str) -> None:
        self.report.rejected += [Rejected(single, reason) for single in entry.singles]

    def _release(self, item: _Item) -> None:
        """The item is done with: the next one of its key may go."""
        self._bytes -= item.bytes
        key = item.entry.partition_key
        behind = self._behind.get(key)
        if behind:
            self._ready.append(behind.popleft())
            self._count_behind -= 1
        else:
            self._behind.pop(key, None)

    def _close(self) -> None:
        """After the last request: what was answered counts, what is left was not sent."""
        for future, items in self._under_way.items():
            try:
                self._settle(items, future.result())
            except StreamUnavailableError:
                continue  # its items are ready again, and the run is over as it is
        self._under_way.clear()
        left = [*self._ready, *(item for _, _, item in self._refused)]
        for behind in self._behind.values():
            left.extend(behind)
        self.report.unsent.extend(single for item in left for single in item.entry.singles)


def _record(entry: Entry) -> "PutRecordsRequestEntryTypeDef":
    record: PutRecordsRequestEntryTypeDef = {"Data": entry.data, "PartitionKey": entry.partition_key}
    if entry.hash_key is not None:
        record["ExplicitHashKey"] = entry.hash_key
    return record
