"""Entries onto the stream, each at least once and a product's in the order given.

Several requests are in flight; only entries that were refused are
sent again, after a backoff with jitter.  Which entry may go next is `waiting.py`'s to say.

A request that got no answer may have been carried out: it is sent again, and what arrives twice is stored
once, because an event's key is its content.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import cpu_affinity
from producer import refusals
from producer.entry import Entry, refused_because
from producer.limits import (
    ATTEMPTS,
    BACKOFF_LIMIT_S,
    BACKOFF_S,
    IN_FLIGHT,
    MAX_RECORDS,
    MAX_REQUEST_BYTES,
    OLDER_MAX_REQUEST_BYTES,
)
from producer.refusals import StreamUnavailableError
from producer.report import Rejected, Report
from producer.waiting import Item, Waiting

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef, PutRecordsResultEntryTypeDef

#: When requests have got no answer for so long, nobody is there.
UNANSWERED_S = 20.0

#: Refused entries come back at multiples of this, so that they share requests.
TICK_S = 0.05

#: With a rate, what has come due is sent together at least this often.
PACE_S = 0.1


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
        self._rate = rate
        self._unanswered_since: float | None = None  # by requests, one after the other
        self.report = Report(stream)
        self._request_bytes = MAX_REQUEST_BYTES
        self._waiting = Waiting(ordered=ordered)
        self._under_way: dict[Future[_Answer], list[Item]] = {}

    def send(self, entries: Iterable[Entry | None]) -> Report:
        """Put every entry, and return when each was accepted or finally refused.

        None among the entries says that the next may take a while: what has been read goes out.
        Raises StreamUnavailableError when going on is pointless.  Then, and on KeyboardInterrupt, what was
        read but not accepted stands in `report.unsent`, and the rest of `entries` has not been read.
        """
        with cpu_affinity.staying():  # reading and generating entries is most of the work
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
        waiting = self._waiting
        is_exhausted = False
        pulled = 0
        sent_at = started
        while True:
            now = self._clock()
            waiting.bring_back(now)
            due = pulled + MAX_RECORDS if self._rate is None else int((now - started) * self._rate) + 1
            is_idle = False
            while not is_exhausted and not is_idle and pulled < due and waiting.has_room:
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
            is_urgent = is_exhausted or is_idle or not waiting.has_room or now - sent_at >= PACE_S
            if len(self._under_way) < self._in_flight and (
                waiting.fills_a_request or (waiting.is_ready and is_urgent)
            ):
                items = waiting.request(self._request_bytes)
                self._under_way[pool.submit(self._put, items)] = items
                sent_at = now
            elif is_exhausted and not (self._under_way or waiting.holds_any):
                return
            elif is_idle:
                self._wait(now, until=now)  # the source itself waits
            elif self._rate is None and not is_exhausted and waiting.has_room:
                self._wait(now, until=now)  # there is more to read meanwhile
            else:
                self._wait(now, until=now + PACE_S if is_paced else None)

    def _take(self, entry: Entry) -> None:
        item = Item(entry)
        if reason := refused_because(entry, item.bytes):
            self._reject(entry, reason)
        else:
            self._waiting.add(item)

    def _put(self, items: list[Item]) -> _Answer:
        """Runs in a thread of the pool."""
        records = [_record(item.entry) for item in items]
        try:
            answer = self._kinesis.put_records(StreamName=self.report.stream, Records=records)
        except (ClientError, BotoCoreError) as exc:
            return _Answer((), exc, self._clock())
        return _Answer(answer["Records"], None, self._clock())

    def _wait(self, now: float, until: float | None) -> None:
        """Until a request is answered, a refused entry comes due or the pace allows more."""
        moments = [moment for moment in (self._waiting.next_due, until) if moment is not None]
        seconds = max(0.0, min(moments) - now) if moments else None
        if self._under_way:
            answered, _ = wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)
            for future in [each for each in self._under_way if each in answered]:  # the oldest first
                self._record_answer(self._under_way.pop(future), future.result())
        elif seconds is not None:
            self._sleep(seconds)

    def _record_answer(self, items: list[Item], answer: _Answer) -> None:
        """Record one request's outcome.  Raises StreamUnavailableError when trying again is pointless."""
        self.report.requests += 1
        if answer.error is not None:
            self._record_error(items, answer.error, answer.at)
            return
        self._unanswered_since = None
        for item, result in zip(items, answer.results, strict=True):
            if code := result.get("ErrorCode"):
                self._try_again(item, f"{code}: {result.get('ErrorMessage')}", answer.at)
                continue
            self.report.shards.add(result["ShardId"])
            self._waiting.release(item)
            for single in item.entry.singles:
                self.report.accepted[single.kind] += 1
                if single.unknown_type is not None:
                    self.report.unknown_types[single.unknown_type] += 1
                if self._on_accepted is not None:
                    self._on_accepted(single, result["ShardId"], result["SequenceNumber"], answer.at)
        if self._on_answer is not None:
            self._on_answer(self.report)

    def _record_error(self, items: list[Item], error: Exception, at: float) -> None:
        if refusals.is_too_large(error) and sum(item.bytes for item in items) > OLDER_MAX_REQUEST_BYTES:
            self._request_bytes = OLDER_MAX_REQUEST_BYTES
            self._waiting.put_first(items)
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
            self._waiting.put_last(items)  # not sent, and not forgotten
            raise unavailable from error
        for item in items:
            self._try_again(item, str(error), at)

    def _try_again(self, item: Item, reason: str, at: float) -> None:
        item.attempts += 1
        if item.attempts >= ATTEMPTS:
            self._reject(item.entry, f"{reason} (after {item.attempts} attempts)")
            self._waiting.release(item)
            return
        self.report.retried += 1
        # Full jitter: entries refused together do not come back together.
        pause = self._rng.uniform(0, min(BACKOFF_LIMIT_S, BACKOFF_S * 2**item.attempts))
        due = math.ceil((at + pause) / TICK_S) * TICK_S
        self._waiting.put_later(item, due)

    def _reject(self, entry: Entry, reason: str) -> None:
        self.report.rejected += [Rejected(single, reason) for single in entry.singles]

    def _close(self) -> None:
        """After the last request: what was answered counts, what is left was not sent."""
        for future, items in self._under_way.items():
            try:
                self._record_answer(items, future.result())
            except StreamUnavailableError:
                continue  # its items are ready again, and the run is over as it is
        self._under_way.clear()
        left = self._waiting.left()
        self.report.unsent.extend(single for item in left for single in item.entry.singles)


def _record(entry: Entry) -> "PutRecordsRequestEntryTypeDef":
    record: PutRecordsRequestEntryTypeDef = {"Data": entry.data, "PartitionKey": entry.partition_key}
    if entry.hash_key is not None:
        record["ExplicitHashKey"] = entry.hash_key
    return record
