"""An invocation ends in time, whatever an answer does: also one that comes byte by byte and never whole.

What counts as "in time" is that the invocation has ended while the answers are still under way: no clock is
looked at.
"""

import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

import app
from chalicelib import wiring
from tests.support import failing_code, slow_proxy
from tests.support.dead_letters import Stream, sqs_event
from tests.support.lambda_events import batch, sequence_numbers, wire
from tests.support.slow_proxy import Line, nothing
from tests.support.waiting import eventually


class Context:
    """An invocation with two seconds to go."""

    aws_request_id = function_name = "short"

    def get_remaining_time_in_millis(self) -> int:
        return 2_000


@pytest.fixture
def line(stage: str, endpoint_url: str) -> Iterator[Line]:
    """The stage behind a bad line, and a function with four writers whose mapping listens."""
    os.environ |= {"LIFECYCLE_PARTIAL_RESPONSES": "on", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}
    with slow_proxy.line(endpoint_url) as line:
        os.environ["AWS_ENDPOINT_URL"] = line.url
        wiring.reset()
        yield line


def notes(count: int, serial: str = "SN-1") -> list[bytes]:
    return [wire(serial, "note", metadata={"n": n}) for n in range(count)]


def stored(serial: str) -> int:
    return len(wiring.history_for_reading().page(serial, limit=None).events)


def process(event: dict[str, Any]) -> Any:
    return app.process_lifecycle(event, Context())


def test_a_batch_whose_writes_drip_is_reported_as_unfinished_in_time(line: Line) -> None:
    line.drips = "BatchWriteItem".__eq__
    event = batch(notes(250))

    answer = process(event)

    assert line.dripping == 4
    assert answer == {"batchItemFailures": [{"itemIdentifier": sequence_numbers(event)[0]}]}


def test_the_next_batch_is_not_held_up_by_what_still_drips(line: Line) -> None:
    line.drips = "BatchWriteItem".__eq__
    event = batch(notes(250))
    process(event)

    line.drips = nothing
    answer = process(event)

    assert line.dripping == 4
    assert answer == {"batchItemFailures": []}
    assert stored("SN-1") == 250


def test_however_long_it_goes_on_only_so_many_threads_are_left_behind(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.ingest.writers.MAX_ABANDONED_CALLS", 4)
    line.drips = "BatchWriteItem".__eq__
    event = batch(notes(250))

    for _ in range(3):
        assert process(event) == {"batchItemFailures": [{"itemIdentifier": sequence_numbers(event)[0]}]}
    assert line.dripping == 4

    line.drips = nothing
    line.end()
    assert eventually(lambda: process(event) == {"batchItemFailures": []})


def test_one_write_that_drips_among_many_keeps_the_others_done(line: Line) -> None:
    event = batch([data for number in range(8) for data in notes(25, f"SN-{number}")])
    writes = itertools.count()
    line.drips = lambda operation: operation == "BatchWriteItem" and next(writes) == 0

    answer = process(event)

    assert line.dripping == 1
    resume = sequence_numbers(event).index(answer["batchItemFailures"][0]["itemIdentifier"])
    assert resume % 25 == 0
    assert sum(stored(f"SN-{number}") for number in range(8)) == 200


def test_a_record_whose_quarantine_drips_is_where_lambda_resumes(line: Line) -> None:
    line.drips = "PutItem".__eq__
    event = batch([*notes(3), b"not json", *notes(3, "SN-2")])

    answer = process(event)

    assert line.dripping == 1
    assert answer == {"batchItemFailures": [{"itemIdentifier": sequence_numbers(event)[3]}]}
    assert (stored("SN-1"), stored("SN-2")) == (3, 3)


def test_a_bug_escapes_in_time_too(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.drips = "BatchWriteItem".__eq__
    failing_code.on_product(monkeypatch, "SN-BUG")

    with pytest.raises(KeyError, match="SN-BUG"):
        process(batch([*notes(40), *notes(1, "SN-BUG"), *notes(20)]))

    assert line.dripping == 1


@pytest.mark.parametrize("operation", ["GetItem", "GetRecords", "BatchWriteItem"])
def test_a_dead_letter_whose_triage_drips_goes_back_to_the_queue_in_time(line: Line, operation: str) -> None:
    stream = Stream()
    letter = json.dumps(stream.dead_letter(stream.put(notes(3))))
    event = sqs_event(letter)
    line.drips = operation.__eq__

    answer = app.triage_dead_letters(event, Context())

    assert line.dripping == 1
    message_id = event["Records"][0]["messageId"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": message_id}]}

    line.drips = nothing
    assert app.triage_dead_letters(event, Context()) == {"batchItemFailures": []}
    assert stored("SN-1") == 3
