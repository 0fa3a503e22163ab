"""Aggregates in a dead letter's range: read in parts, and gone on with inside one."""

from typing import Any

import boto3
import msgspec
import pytest

from chalicelib import settings, wiring
from chalicelib.deadline import Deadline
from chalicelib.stream.batches import Within
from chalicelib.triage.report import Tally
from tests.support import faults
from tests.support.aggregates import aggregated, dense, field, packed
from tests.support.dead_letters import Stream, sqs_event
from tests.support.triage import Handler, down_for, items_of, notes, set_aside, stored


def in_batches_of(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.triage.triage.BATCH", count)


def with_cases_for(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.ingest.poison.MAX_INDIVIDUAL_CASES", count)


def written(sent: list[dict[str, Any]]) -> int:
    return sum(len(body["RequestItems"][settings.history_table()]) for body in sent)


def test_an_aggregate_goes_on_where_it_was_cut_off(
    handler: Handler, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_batches_of(100, monkeypatch)
    before, number, _ = numbers = stream.put([*notes(1), aggregated(*notes(250)[1:]), notes(251)[250]])
    event = sqs_event(stream.dead_letter(numbers))
    down = [down_for(notes(250)[170]), down_for(notes(250)[230])]
    sent = faults.on(handler.dynamodb, "BatchWriteItem", lambda body: down[0](body) if down else None)

    (first,) = handler.run(event)
    del down[0]
    (second,) = handler.run(event)
    del down[0]
    sent.clear()
    (third,) = handler.run(event)

    assert [first.finished, second.finished, third.finished] == [False, False, True]
    assert (first.tally.read, first.tally.stored, first.tally.done_to) == (1, 101, before)
    assert first.tally.within == (number, 100)
    assert (second.tally.read, second.tally.stored, second.tally.done_to) == (1, 201, before)
    assert second.tally.within == (number, 200)
    assert written(sent) == 50
    assert (third.tally.read, third.tally.stored) == (3, 251)
    assert stored() == list(range(251))
    assert items_of(settings.quarantine_table()) == 0


def test_an_aggregate_of_which_nothing_can_be_stored_is_put_into_quarantine_once(
    handler: Handler, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_batches_of(20, monkeypatch)
    with_cases_for(10, monkeypatch)
    flood = aggregated(*[b"?"] * 90, *notes(3))
    event = sqs_event(stream.dead_letter(stream.put([flood, b"not json"])))
    put = faults.on(handler.dynamodb, "PutItem", lambda _: None)

    (report,) = handler.run(event)

    assert report.finished
    assert report.tally.quarantined == {"invalid_aggregate": 1, "not_json": 1}
    assert {case.payload: case.reason for case in set_aside()} == {
        flood: "invalid_aggregate",
        b"not json": "not_json",
    }
    assert len([body for body in put if "reason" in body["Item"]]) == 2
    assert stored() == [0, 1, 2]


def test_the_cases_of_an_aggregate_are_counted_across_invocations(
    handler: Handler, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of the records is bad: never enough in one batch, and more than enough in all."""
    in_batches_of(20, monkeypatch)
    with_cases_for(6, monkeypatch)
    data = [b"?" if n % 10 == 0 else note for n, note in enumerate(notes(100))]
    event = sqs_event(stream.dead_letter(stream.put([aggregated(*data)])))
    is_down = True
    stuck = down_for(notes(100)[51])
    faults.on(handler.dynamodb, "BatchWriteItem", lambda body: stuck(body) if is_down else None)

    (first,) = handler.run(event)
    is_down = False
    (second,) = handler.run(event)

    assert (first.finished, first.tally.cases) == (False, 4)
    assert second.finished
    assert second.tally.quarantined == {"not_json": 6, "invalid_aggregate": 1}
    assert stored() == [n for n in range(100) if n % 10]


def test_an_aggregate_that_is_gone_before_it_was_done_is_expired_and_the_next_is_read_whole(
    handler: Handler, stream: Stream
) -> None:
    number, *_ = numbers = stream.put([aggregated(*notes(5))])
    gone = str(int(number) - 1).zfill(len(number))
    letter = stream.dead_letter([gone, *numbers])
    deadline = Deadline(60)
    saved = Tally(within=Within(gone, 3), cases=2, stored=3)
    range_id = f"{stream.name}/{stream.shard_id}/{gone}-{number}"
    assert wiring.progress().save(range_id, msgspec.json.encode(saved).decode(), deadline)

    (report,) = handler.run(sqs_event(letter))

    assert (report.finished, report.tally.read, report.tally.stored, report.tally.gaps) == (True, 1, 8, 1)
    assert stored() == list(range(5))
    (case,) = set_aside()
    assert case.reason == "expired"
    assert f"from {gone} up to before {number}" in case.sentence


def test_progress_that_an_earlier_version_saved_is_understood(handler: Handler, stream: Stream) -> None:
    numbers = stream.put(notes(5))
    range_id = f"{stream.name}/{stream.shard_id}/{numbers[0]}-{numbers[-1]}"
    text = f'{{"done_to":"{numbers[1]}","read":2,"stored":2,"quarantined":{{}},"gaps":0}}'
    assert wiring.progress().save(range_id, text, Deadline(60))

    (report,) = handler.run(sqs_event(stream.dead_letter(numbers)))

    assert (report.finished, report.tally.read, report.tally.stored) == (True, 5, 5)
    assert stored() == [2, 3, 4]


def test_an_aggregate_of_nothing_counts_as_read(handler: Handler, stream: Stream) -> None:
    numbers = stream.put([packed(field(1, b"a")), *notes(1), packed(field(1, b"a"))])

    (report,) = handler.run(sqs_event(stream.dead_letter(numbers)))

    assert (report.finished, report.tally.read, report.tally.stored) == (True, 3, 1)
    assert set_aside() == []


def test_a_dense_aggregate_is_one_case(handler: Handler, stream: Stream) -> None:
    data = dense(b"", 30_000)

    (report,) = handler.run(sqs_event(stream.dead_letter(stream.put([data]))))

    assert (report.finished, report.tally.quarantined) == (True, {"invalid_aggregate": 1})
    (case,) = set_aside()
    assert case.payload == data
    assert case.sentence.endswith("cannot be stored: record 1000 of the aggregate: it holds no `data`")
    assert boto3.client("dynamodb").scan(TableName=settings.history_table())["Count"] == 0
