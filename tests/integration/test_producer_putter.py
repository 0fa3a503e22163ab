"""PutRecords on the real endpoint: its limits, refusals, order, and what is left when it cannot go on."""

import itertools
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from producer.entry import MAX_RECORD_BYTES, Entry
from producer.putter import (
    ATTEMPTS,
    IN_FLIGHT,
    MAX_RECORDS,
    MAX_REQUEST_BYTES,
    OLDER_MAX_REQUEST_BYTES,
    READ_AHEAD_BYTES,
    Putter,
)
from producer.refusals import StreamUnavailableError
from producer.send import client

STREAM = f"lifecycle-putter-{uuid.uuid4().hex[:8]}"

pytestmark = pytest.mark.usefixtures("stream")


@pytest.fixture(scope="module")
def _stream_of_module(endpoint_url: str) -> Iterator[None]:
    kinesis = boto3.client("kinesis", endpoint_url=endpoint_url)
    kinesis.create_stream(StreamName=STREAM, ShardCount=4)
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    yield
    kinesis.delete_stream(StreamName=STREAM)
    kinesis.close()


@pytest.fixture
def stream(aws: str, _stream_of_module: None) -> None:
    """The stream that these tests share; each sends entries of its own."""


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Kinesis:
    """The real endpoint's PutRecords, which can also do what the endpoint never does.

    `refuse` is asked for each record, as on AWS where single records of a request are refused while the
    others are carried out.  `fail` is asked for each request, with its number from 0, and returns an error
    to raise instead of, or (`is_late`) after carrying it out, as when the answer is lost.  `in_parts` takes
    requests over 5 MiB, as AWS does since 2025 and the endpoint does not.
    """

    def __init__(
        self,
        refuse: Callable[[bytes], bool] = lambda data: False,
        fail: Callable[[int], Exception | None] = lambda number: None,
        is_late: bool = False,
        in_parts: bool = False,
    ) -> None:
        self._real = client()
        self._refuse = refuse
        self._fail = fail
        self._is_late = is_late
        self._in_parts = in_parts
        self._numbers = itertools.count()
        self.requests: list[Sequence[Any]] = []

    def put_records(self, StreamName: str, Records: Sequence[Any]) -> Any:
        self.requests.append(Records)
        error = self._fail(next(self._numbers))
        if error is not None and not self._is_late:
            raise error
        refused = [self._refuse(record["Data"]) for record in Records]
        kept = [record for record, is_refused in zip(Records, refused, strict=True) if not is_refused]
        step = 5 if self._in_parts else MAX_RECORDS
        answered = iter(
            [
                result
                for start in range(0, len(kept), step)
                for result in self._real.put_records(
                    StreamName=StreamName, Records=kept[start : start + step]
                )["Records"]
            ]
        )
        if error is not None:
            raise error
        throttled = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        return {"Records": [throttled if is_refused else next(answered) for is_refused in refused]}


class Accepted:
    """What `on_accepted` was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Entry, str, int, float]] = []

    def __call__(self, entry: Entry, shard_id: str, sequence_number: str, at: float) -> None:
        self.calls.append((entry, shard_id, int(sequence_number), at))

    @property
    def entries(self) -> list[Entry]:
        return [entry for entry, *_ in self.calls]

    def in_stream_order(self) -> dict[str, list[bytes]]:
        """By partition key, the data in the order in which they lie on the stream."""
        by_key: dict[str, list[bytes]] = defaultdict(list)
        for entry, _, _, _ in sorted(self.calls, key=lambda call: call[2]):
            by_key[entry.partition_key].append(entry.data)
        return by_key


def some_entries(count: int, keys: int, size: int = 10) -> list[Entry]:
    """Entries of a run of their own, taking turns between so many partition keys."""
    run = uuid.uuid4().hex[:8]
    return [
        Entry(f"{run} {number}".encode().ljust(size, b"."), f"{run}-{number % keys}")
        for number in range(count)
    ]


def by_key(entries: Sequence[Entry]) -> dict[str, list[bytes]]:
    grouped: dict[str, list[bytes]] = defaultdict(list)
    for entry in entries:
        grouped[entry.partition_key].append(entry.data)
    return grouped


def putter(kinesis: Any, clock: Clock | None = None, **options: Any) -> Putter:
    clock = clock or Clock()
    options.setdefault("rng", random.Random(1))
    return Putter(kinesis, STREAM, clock=clock, sleep=clock.sleep, **options)


def refused_times(times: int) -> Callable[[bytes], bool]:
    """Refuses each record so often."""
    seen: dict[bytes, int] = defaultdict(int)

    def refuse(data: bytes) -> bool:
        seen[data] += 1
        return seen[data] <= times

    return refuse


def throttled() -> ClientError:
    return ClientError(
        {
            "Error": {"Code": "ProvisionedThroughputExceededException", "Message": "Rate exceeded"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        },  # type: ignore[typeddict-item]  # the other keys say nothing here
        "PutRecords",
    )


def read_back(shards: set[str]) -> list[tuple[str, bytes]]:
    """Everything on these shards, as partition key and data."""
    kinesis = boto3.client("kinesis")
    found = []
    for shard in shards:
        iterator = kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            page = kinesis.get_records(ShardIterator=iterator)
            found += [(record["PartitionKey"], record["Data"]) for record in page["Records"]]
            if not page["Records"]:
                break
            iterator = page["NextShardIterator"]
    return found


def test_what_is_sent_lies_on_the_stream_with_its_partition_key() -> None:
    entries = some_entries(1200, 40)

    report = putter(client()).send(entries)

    run = entries[0].partition_key[:8]
    found = [each for each in read_back(report.shards) if each[0].startswith(run)]
    assert sorted(found) == sorted((entry.partition_key, entry.data) for entry in entries)
    assert report.sent == 1200
    assert (report.retried, report.rejected, report.unsent) == (0, [], [])
    assert len(report.shards) > 1


def test_acceptance_is_told_with_shard_sequence_number_and_time() -> None:
    accepted = Accepted()
    before = time.time()

    Putter(client(), STREAM, on_accepted=accepted).send(some_entries(50, 50))

    assert len({number for _, _, number, _ in accepted.calls}) == 50
    assert all(shard.startswith("shardId-") for _, shard, _, _ in accepted.calls)
    assert all(before <= at <= time.time() for *_, at in accepted.calls)


@pytest.mark.parametrize("ordered", [True, False])
def test_only_refused_entries_are_sent_again(ordered: bool) -> None:
    entries = some_entries(300, 300)
    bad = set(random.Random(2).sample([entry.data for entry in entries], 20))
    once = refused_times(1)
    kinesis = Kinesis(refuse=lambda data: data in bad and once(data))

    report = putter(kinesis, ordered=ordered).send(entries)

    again = [record["Data"] for request in kinesis.requests[1:] for record in request]
    assert len(kinesis.requests[0]) == 300
    assert set(again) == bad
    assert len(again) == 20 == report.retried
    assert report.sent == 300


@given(seed=st.integers(0, 2**32), keys=st.integers(1, 12), share=st.floats(0, 0.7))
@hypothesis_settings(max_examples=20)
def test_a_products_events_stay_in_order_whatever_is_refused(seed: int, keys: int, share: float) -> None:
    entries = some_entries(40, keys)
    rng = random.Random(seed)
    accepted = Accepted()
    clock = Clock()

    report = putter(
        Kinesis(refuse=lambda data: rng.random() < share), clock, on_accepted=accepted, rng=rng
    ).send(entries)

    given_up = [rejected.entry for rejected in report.rejected]
    assert sorted(accepted.entries + given_up) == sorted(entries)
    sent = [entry for entry in entries if entry not in given_up]
    assert accepted.in_stream_order() == by_key(sent)


def test_a_refused_entry_waits_longer_each_time_and_no_two_alike() -> None:
    clock = Clock()

    putter(Kinesis(refuse=refused_times(9)), clock, rng=random.Random(3)).send(some_entries(1, 1))

    assert len(clock.slept) == 9
    assert len(set(clock.slept)) == 9
    assert max(clock.slept[:3]) < 1
    assert 1 < max(clock.slept) <= 5
    assert sum(clock.slept[:4]) < sum(clock.slept[5:])


@pytest.mark.parametrize("before", ["silence", "throttling"])
def test_one_lost_connection_after_a_quiet_minute_is_no_reason_to_give_up(before: str) -> None:
    clock = Clock()
    gone = EndpointConnectionError(endpoint_url="http://gone")

    def fail(number: int) -> Exception | None:
        if before == "throttling" and 1 <= number <= 20:
            return throttled()
        return gone if number == (21 if before == "throttling" else 1) else None

    accepted = Accepted()

    def slowly() -> Iterator[Entry | None]:
        first, *others = some_entries(3, 3)
        yield first
        while not accepted.entries:
            yield None  # until it has been answered
        for entry in others:
            clock.sleep(60)
            yield entry

    putting = putter(Kinesis(fail=fail), clock, on_accepted=accepted, rng=random.Random(3))
    report = putting.send(slowly())

    assert (report.sent, report.unsent, report.rejected) == (3, [], [])


def test_an_entry_that_a_full_shard_refuses_for_a_minute_is_sent_in_the_end() -> None:
    clock = Clock()

    report = putter(Kinesis(refuse=refused_times(30)), clock, rng=random.Random(3)).send(some_entries(1, 1))

    assert sum(clock.slept) > 60
    assert (report.sent, report.retried, report.rejected) == (1, 30, [])


def test_what_is_refused_every_time_is_rejected_with_the_reason_and_the_rest_goes_on() -> None:
    entries = some_entries(100, 10)
    bad = entries[33]
    accepted = Accepted()

    report = putter(Kinesis(refuse=lambda data: data == bad.data), on_accepted=accepted).send(entries)

    (rejected,) = report.rejected
    assert rejected.entry == bad
    assert "ProvisionedThroughputExceededException: Rate exceeded (after 40 attempts)" in rejected.reason
    assert report.retried == ATTEMPTS - 1
    assert accepted.in_stream_order() == by_key([entry for entry in entries if entry != bad])


def test_a_throttled_request_is_sent_again_whole() -> None:
    entries = some_entries(30, 30)
    accepted = Accepted()

    report = putter(Kinesis(fail=lambda number: None if number else throttled()), on_accepted=accepted).send(
        entries
    )

    assert sorted(accepted.entries) == sorted(entries)
    assert (report.sent, report.retried) == (30, 30)


def test_a_lost_answer_leads_to_a_duplicate_and_never_to_a_loss() -> None:
    entries = some_entries(20, 20)
    kinesis = Kinesis(
        fail=lambda number: ReadTimeoutError(endpoint_url="http://kinesis") if number == 0 else None,
        is_late=True,
    )

    report = putter(kinesis).send(entries)

    found = [data for _, data in read_back(report.shards)]
    assert report.sent == 20
    assert all(found.count(entry.data) == 2 for entry in entries)


def test_a_request_holds_at_most_500_records() -> None:
    kinesis = Kinesis()

    putter(kinesis).send(some_entries(1700, 1700))

    assert [len(request) for request in kinesis.requests] == [MAX_RECORDS] * 3 + [200]


def test_entries_that_come_back_do_not_make_a_request_larger() -> None:
    clock = Clock()
    once = refused_times(1)

    def refuse(data: bytes) -> bool:
        clock.now += 0.001  # long requests, so that many refused entries come due at once
        return once(data)

    kinesis = Kinesis(refuse=refuse)

    report = putter(kinesis, clock).send(some_entries(1700, 1700))

    assert (report.sent, report.retried) == (1700, 1700)
    assert max(len(request) for request in kinesis.requests) == MAX_RECORDS


def sizes_of(kinesis: Kinesis) -> list[int]:
    """Bytes of each request, as PutRecords counts them."""
    return [
        sum(len(record["Data"]) + len(record["PartitionKey"]) for record in request)
        for request in kinesis.requests
    ]


def test_a_request_holds_at_most_10_mib_with_its_keys() -> None:
    kinesis = Kinesis(in_parts=True)

    report = putter(kinesis).send(some_entries(24, 24, size=900_000))

    assert report.sent == 24
    assert max(sizes_of(kinesis)) <= MAX_REQUEST_BYTES
    assert len(kinesis.requests) == 3


def test_an_endpoint_with_the_older_limit_gets_smaller_requests() -> None:
    kinesis = Kinesis()
    accepted = Accepted()
    entries = some_entries(24, 24, size=900_000)

    report = putter(kinesis, on_accepted=accepted, in_flight=1).send(entries)

    assert sorted(accepted.entries) == sorted(entries)
    assert report.rejected == []
    assert sizes_of(kinesis)[0] > OLDER_MAX_REQUEST_BYTES
    assert max(sizes_of(kinesis)[1:]) <= OLDER_MAX_REQUEST_BYTES


def test_a_record_of_1_mib_is_sent_and_one_byte_more_is_refused_unsent() -> None:
    key = uuid.uuid4().hex
    largest = Entry(b"x" * (MAX_RECORD_BYTES - len(key)), key)
    kinesis = Kinesis()

    report = putter(kinesis).send([largest, Entry(largest.data + b"x", key), Entry(b"after", key)])

    assert report.sent == 2
    assert [len(rejected.entry.data) for rejected in report.rejected] == [len(largest.data) + 1]
    assert report.rejected[0].reason == "1048577 bytes with its partition key; a record has at most 1 MiB"
    assert all(len(record["Data"]) <= len(largest.data) for request in kinesis.requests for record in request)


@pytest.mark.parametrize("key", ["", "k" * 257])
def test_a_partition_key_that_kinesis_does_not_take_is_rejected_alone(key: str) -> None:
    report = putter(client()).send([Entry(b"1", key), Entry(b"2", "k" * 256)])

    assert report.sent == 1
    assert [rejected.reason for rejected in report.rejected] == ["a partition key has 1 to 256 characters"]


def test_ordered_requests_hold_one_entry_of_a_key_and_unordered_ones_are_full() -> None:
    for ordered, most in ((True, 1), (False, 100)):
        kinesis = Kinesis()

        putter(kinesis, ordered=ordered).send(some_entries(100, 1))

        assert max(len(request) for request in kinesis.requests) == most


def test_input_is_read_only_so_far_ahead_that_memory_is_bounded() -> None:
    read = 0

    def large() -> Iterator[Entry]:
        nonlocal read
        for entry in some_entries(60, 1, size=1_000_000):
            read += 1
            yield entry

    putting = putter(Kinesis(fail=lambda number: EndpointConnectionError(endpoint_url="http://kinesis")))

    with pytest.raises(StreamUnavailableError):
        putting.send(large())

    assert read <= READ_AHEAD_BYTES // 1_000_000 + 1
    assert len(putting.report.unsent) == read


def test_a_stream_that_refuses_everything_is_not_given_more_and_more() -> None:
    read = 0

    def many() -> Iterator[Entry]:
        nonlocal read
        for entry in some_entries(20_000, 20_000):
            read += 1
            yield entry

    most_read_at_first_success: list[int] = []
    clock = Clock()

    def refuse(data: bytes) -> bool:
        if clock.now < 1_790_000_001:
            return True
        most_read_at_first_success.append(read)
        return False

    report = putter(Kinesis(refuse=refuse), clock).send(many())

    assert report.sent == 20_000
    assert most_read_at_first_success[0] <= MAX_RECORDS * (IN_FLIGHT + 3)


def test_a_missing_stream_ends_the_run_at_once_and_keeps_what_was_read() -> None:
    entries = some_entries(30, 3)
    clock = Clock()
    putting = Putter(client(), "no-such-stream", clock=clock, sleep=clock.sleep)

    with pytest.raises(StreamUnavailableError, match="stream 'no-such-stream' not found") as unavailable:
        putting.send(entries)

    assert unavailable.value.reason == "missing"
    assert sorted(putting.report.unsent) == sorted(entries)
    assert clock.slept == []


def test_an_endpoint_that_goes_away_is_waited_for_and_then_the_rest_is_kept() -> None:
    entries = some_entries(2000, 2000)
    clock = Clock()
    accepted = Accepted()
    putting = putter(
        Kinesis(fail=lambda number: EndpointConnectionError(endpoint_url="http://gone") if number else None),
        clock,
        on_accepted=accepted,
        in_flight=1,
    )

    with pytest.raises(StreamUnavailableError) as unavailable:
        putting.send(entries)

    assert unavailable.value.reason == "no_answer"
    assert sum(clock.slept) > 5
    assert putting.report.sent == MAX_RECORDS
    kept = sorted(accepted.entries + putting.report.unsent)
    assert kept == sorted(entries[: len(kept)])
    assert len(kept) > MAX_RECORDS


def test_an_endpoint_that_comes_back_gets_everything() -> None:
    entries = some_entries(700, 700)
    clock = Clock()

    def fail(number: int) -> Exception | None:
        is_out = 1_790_000_000 < clock.now < 1_790_000_005 or number == 1
        return EndpointConnectionError(endpoint_url="http://gone") if is_out else None

    report = putter(Kinesis(fail=fail), clock, in_flight=1).send(entries)

    assert report.sent == 700
    assert clock.now > 1_790_000_005


def test_a_refusal_that_is_for_good_ends_the_run() -> None:
    denied = ClientError(
        {
            "Error": {"Code": "AccessDeniedException", "Message": "not authorized"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        },  # type: ignore[typeddict-item]  # the other keys say nothing here
        "PutRecords",
    )

    with pytest.raises(StreamUnavailableError, match="not authorized") as unavailable:
        putter(Kinesis(fail=lambda number: denied)).send(some_entries(10, 10))

    assert unavailable.value.reason == "refused"


def test_a_rate_spreads_entries_over_time() -> None:
    clock = Clock()
    accepted = Accepted()

    report = putter(client(), clock, rate=50, on_accepted=accepted, in_flight=1).send(some_entries(200, 200))

    assert report.sent == 200
    assert 3.8 <= report.seconds <= 4.5
    first_half = [at for _, _, _, at in accepted.calls if at < 1_790_000_002]
    assert 80 <= len(first_half) <= 110


def test_what_has_come_is_sent_when_the_input_pauses() -> None:
    accepted = Accepted()
    told: list[int] = []

    def input() -> Iterator[Entry | None]:
        entries = some_entries(6, 6)
        yield from entries[:3]
        deadline = time.monotonic() + 60
        while len(accepted.calls) < 3 and time.monotonic() < deadline:
            yield None
        told.append(len(accepted.calls))
        yield from entries[3:]

    report = putter(client(), on_accepted=accepted).send(input())

    assert told == [3]
    assert report.sent == 6


def test_an_interrupted_run_has_counted_every_request_it_made() -> None:
    accepted = Accepted()
    entries = some_entries(2500, 2500)

    def interrupted() -> Iterator[Entry]:
        yield from entries
        raise KeyboardInterrupt

    putting = putter(client(), on_accepted=accepted)

    with pytest.raises(KeyboardInterrupt):
        putting.send(interrupted())

    assert sorted(accepted.entries + putting.report.unsent) == sorted(entries)
    found = {data for _, data in read_back(putting.report.shards)}
    assert {entry.data for entry in entries} & found == {entry.data for entry in accepted.entries}
