"""What the stream refuses or does not answer: sent again in order, or kept with the reason."""

import random
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from producer.entry import Entry
from producer.limits import ATTEMPTS, MAX_RECORDS
from producer.putter import Putter
from producer.refusals import StreamUnavailableError
from producer.send import client
from tests.support.put_records import (
    Accepted,
    Clock,
    Kinesis,
    by_key,
    putter,
    read_back,
    refused_times,
    some_entries,
    throttled,
)

pytestmark = pytest.mark.usefixtures("putter_stream")


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
