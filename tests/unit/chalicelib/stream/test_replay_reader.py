"""Reading a range of a shard again: pages, empty pages, iterators that end, and what is no longer there.

On a stub, because the embedded endpoint never answers as AWS does on a bad day: it gives every record in one
page, never an empty page before the tip, never throttles, and trims nothing within a test's lifetime.
"""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.deadline import Deadline
from chalicelib.errors import GoneError, StorageError
from chalicelib.stream.replay_reader import Gap, Shard, retention_hours, since, stretch

DAY_MS = 24 * 3_600_000


def error(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetRecords")


class Kinesis:
    """One shard that answers as AWS may: pages of any size, empty pages, iterators that expire.

    `trimmed` says what it answers for a start before its oldest record, all three seen on AWS: `oldest` (an
    iterator at the oldest record), `refused` (InvalidArgumentException), `endless` (empty pages).
    """

    def __init__(self, numbers: Sequence[int], *, page: int = 1000, trimmed: str = "oldest") -> None:
        self.numbers = list(numbers)
        self.page = page
        self.trimmed = trimmed
        self.closed = False
        self.empties = 0  # empty pages before each page with records
        self.expire_after: set[int] = set()  # reads after which the iterator is too old
        self.failures: list[Exception] = []  # raised first, one a call
        self.reads = 0
        self.limits: list[int] = []
        self._empties_given = 0

    def get_shard_iterator(self, ShardIteratorType: str, StartingSequenceNumber: str = "", **_: Any) -> Any:
        if self.failures:
            raise self.failures.pop(0)
        if ShardIteratorType == "TRIM_HORIZON":
            return {"ShardIterator": "0"}
        if ShardIteratorType == "AT_TIMESTAMP":
            return {"ShardIterator": "0"}
        start = int(StartingSequenceNumber) + (ShardIteratorType == "AFTER_SEQUENCE_NUMBER")
        if self.numbers and start < self.numbers[0] and self.trimmed != "oldest":
            if self.trimmed == "refused":
                raise error("InvalidArgumentException", "StartingSequenceNumber is not valid")
            return {"ShardIterator": "endless"}
        return {"ShardIterator": str(sum(number < start for number in self.numbers))}

    def get_records(self, ShardIterator: str, Limit: int) -> Any:
        if self.failures:
            raise self.failures.pop(0)
        self.reads += 1
        assert self.reads < 1000, "reads forever"
        self.limits.append(Limit)
        if self.reads in self.expire_after:
            raise error("ExpiredIteratorException")
        if ShardIterator == "endless":
            return {"Records": [], "NextShardIterator": "endless", "MillisBehindLatest": DAY_MS}
        start = int(ShardIterator)
        if start < len(self.numbers) and self._empties_given < self.empties:
            self._empties_given += 1
            return {"Records": [], "NextShardIterator": ShardIterator, "MillisBehindLatest": 5000}
        self._empties_given = 0
        end = min(start + min(self.page, Limit), len(self.numbers))
        at_end = end == len(self.numbers)
        return {
            "Records": [
                {
                    "SequenceNumber": str(n),
                    "ApproximateArrivalTimestamp": datetime.fromtimestamp(n, timezone.utc),
                }
                for n in self.numbers[start:end]
            ],
            "NextShardIterator": None if at_end and self.closed else str(end),
            "MillisBehindLatest": 0 if at_end else 4000,
        }

    def describe_stream_summary(self, **_: Any) -> Any:
        if self.failures:
            raise self.failures.pop(0)
        return {"StreamDescriptionSummary": {"RetentionPeriodHours": 24}}


class Reader:
    """Reads a range of a stub, with a clock that only moves when somebody waits."""

    def __init__(self, kinesis: Kinesis, seconds: float = 60) -> None:
        self.now = 0.0
        self.deadline = Deadline(
            seconds, clock=lambda: self.now, sleep=self._wait, uniform=lambda _, most: most
        )
        self.shard = Shard(kinesis, "s", "shardId-0", lambda: self.deadline, self._wait)  # type: ignore[arg-type]
        self.numbers: list[int] = []
        self.gaps: list[tuple[str, bool, str | None]] = []
        self.why = ""

    def read(self, first: int, last: int, done_to: int | None = None, page: int = 1) -> "Reader":
        for found in stretch(
            self.shard,
            str(first),
            str(last),
            done_to=None if done_to is None else str(done_to),
            page=page,
            retention_ms=DAY_MS,
        ):
            if isinstance(found, Gap):
                self.gaps.append((found.first, found.includes_first, found.before))
                self.why = found.why
            else:
                self.numbers += [int(record["SequenceNumber"]) for record in found]
        return self

    def _wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "LimitExceededException"])
def test_a_throttled_read_is_waited_out(code: str) -> None:
    kinesis = Kinesis(range(3))
    kinesis.failures = [error(code), EndpointConnectionError(endpoint_url="http://kinesis")] * 3

    reader = Reader(kinesis).read(0, 2)

    assert reader.numbers == [0, 1, 2]
    assert reader.now > 1


def test_time_that_runs_out_is_said_with_what_kinesis_said() -> None:
    kinesis = Kinesis(range(3))
    kinesis.failures = [error("ProvisionedThroughputExceededException", "rate exceeded")] * 1000

    with pytest.raises(StorageError, match="rate exceeded"):
        Reader(kinesis, seconds=10).read(0, 2)


def test_reads_leave_the_event_source_mapping_its_share_of_the_shard() -> None:
    kinesis = Kinesis(range(10), page=1)

    reader = Reader(kinesis).read(0, 9)

    assert reader.now == pytest.approx((kinesis.reads - 1) * 0.5)  # of five a second that a shard allows


def test_a_range_of_one_record_does_not_pull_a_whole_page_out_of_a_busy_shard() -> None:
    kinesis = Kinesis(range(100_000))

    Reader(kinesis).read(50_000, 50_000)

    assert kinesis.limits == [100]


def test_a_gap_after_what_was_done_already_begins_there() -> None:
    reader = Reader(Kinesis(range(20, 40))).read(10, 25, done_to=15)

    assert reader.numbers == list(range(20, 26))
    assert reader.gaps == [("15", False, "20")]


def test_going_on_behind_what_was_done_gives_nothing_twice() -> None:
    reader = Reader(Kinesis(range(40))).read(10, 25, done_to=15)

    assert (reader.numbers, reader.gaps) == (list(range(16, 26)), [])


def test_a_range_that_is_done_is_not_read_again() -> None:
    kinesis = Kinesis(range(40))

    reader = Reader(kinesis).read(10, 25, done_to=25)

    assert (reader.numbers, reader.gaps, kinesis.reads) == ([], [], 0)


def test_a_shard_that_ends_before_the_range_leaves_a_gap() -> None:
    kinesis = Kinesis(range(20), page=7)
    kinesis.closed = True

    reader = Reader(kinesis).read(10, 30)

    assert (reader.numbers, reader.gaps) == (list(range(10, 20)), [("19", False, None)])


def test_a_shard_that_is_gone_is_one_gap_with_kinesis_s_own_words() -> None:
    kinesis = Kinesis([])
    kinesis.failures = [error("ResourceNotFoundException", "Shard shardId-0 does not exist")]

    reader = Reader(kinesis).read(10, 30)

    assert (reader.numbers, reader.gaps) == ([], [("10", True, None)])
    assert "does not exist" in reader.why


def test_a_stream_that_is_gone_says_so() -> None:
    kinesis = Kinesis([])
    kinesis.failures = [error("ResourceNotFoundException", "Stream s not found")]

    with pytest.raises(GoneError, match="Stream s not found"):
        retention_hours(kinesis, "s", Deadline(60))  # type: ignore[arg-type]


@given(
    numbers=st.sets(st.integers(0, 300), min_size=1),
    ends=st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted),
    page=st.integers(1, 50),
    empties=st.integers(0, 3),
    expired=st.sets(st.integers(1, 60), max_size=20),
    trimmed=st.sampled_from(["oldest", "refused", "endless"]),
)
def test_every_record_of_a_range_is_given_once_in_order_and_what_is_missing_is_named(
    numbers: set[int], ends: list[int], page: int, empties: int, expired: set[int], trimmed: str
) -> None:
    first, last = ends
    kinesis = Kinesis(sorted(numbers), page=page, trimmed=trimmed)
    kinesis.empties = empties
    kinesis.expire_after = expired

    reader = Reader(kinesis, seconds=100_000).read(first, last)

    there = [n for n in sorted(numbers) if first <= n <= last]
    assert reader.numbers == there
    expected: list[tuple[str, bool, str | None]] = []
    if not there:
        expected.append((str(first), True, None))
    else:
        if there[0] != first:
            expected.append((str(first), True, str(there[0])))
        if there[-1] != last:
            expected.append((str(there[-1]), False, None))
    assert reader.gaps == expected


def test_a_replay_reads_a_shard_from_a_moment_to_its_tip() -> None:
    kinesis = Kinesis(range(1, 30), page=4)
    kinesis.empties = 1
    kinesis.expire_after = {1, 5, 6}
    reader = Reader(kinesis)

    pages = list(since(reader.shard, 0.0, until_ms=1e12))

    assert [int(record["SequenceNumber"]) for page in pages for record in page] == list(range(1, 30))


def test_a_replay_does_not_run_after_a_stream_that_keeps_growing() -> None:
    reader = Reader(Kinesis(range(1, 30), page=4))

    pages = list(since(reader.shard, 0.0, until_ms=10_000))

    assert [int(record["SequenceNumber"]) for page in pages for record in page] == list(range(1, 13))
