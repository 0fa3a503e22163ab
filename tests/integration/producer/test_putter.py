"""PutRecords on the real endpoint: what a request holds, in which order, how far ahead is read."""

import time
import uuid
from collections.abc import Iterator

import pytest
from botocore.exceptions import EndpointConnectionError

from producer.entry import MAX_RECORD_BYTES, Entry
from producer.limits import (
    IN_FLIGHT,
    MAX_RECORDS,
    MAX_REQUEST_BYTES,
    OLDER_MAX_REQUEST_BYTES,
    READ_AHEAD_BYTES,
)
from producer.putter import Putter
from producer.refusals import StreamUnavailableError
from producer.send import client
from tests.support.put_records import (
    STREAM,
    Accepted,
    Clock,
    Kinesis,
    putter,
    read_back,
    refused_times,
    sizes_of,
    some_entries,
)

pytestmark = pytest.mark.usefixtures("putter_stream")


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


def test_a_request_holds_at_most_500_records() -> None:
    kinesis = Kinesis()

    putter(kinesis).send(some_entries(1700, 1700))

    # Several are under way at once, so who comes first is chance.
    assert sorted(map(len, kinesis.requests)) == [200, *[MAX_RECORDS] * 3]


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
