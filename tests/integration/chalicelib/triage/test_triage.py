"""Dead letters through the deployed handler: their records read again, each with its verdict."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.ingest import batch as ingest
from chalicelib.stream.records import Record
from tests.support import failing_code
from tests.support.dead_letters import Stream, sqs_event, text
from tests.support.lambda_events import wire
from tests.support.triage import NOTHING_LEFT, notes, run, set_aside, stored, the_case


@pytest.fixture
def buggy(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A handler with a bug: it raises on every event of the product SN-BUG."""
    with monkeypatch.context() as patch:
        failing_code.on_product(patch, "SN-BUG")
        yield patch


def test_the_records_that_a_dead_letter_points_to_are_stored(listening: Client, stream: Stream) -> None:
    numbers = stream.put(notes(30))

    answer = run(listening, stream.dead_letter(numbers[5:25]))

    assert answer == NOTHING_LEFT
    assert stored() == list(range(5, 25))


def test_of_a_batch_with_one_record_that_crashes_the_handler_all_others_are_stored(
    listening: Client, stream: Stream, buggy: pytest.MonkeyPatch
) -> None:
    culprit = wire("SN-BUG", "note")
    numbers = stream.put([*notes(200)[:120], culprit, *notes(200)[120:199]])

    answer = run(listening, stream.dead_letter(numbers))

    assert answer == NOTHING_LEFT
    assert stored() == list(range(199))
    case = the_case()
    assert (case.id, case.payload) == (f"{stream.name}/{stream.shard_id}/{numbers[120]}", culprit)
    assert case.reason == "handler_error"
    assert "in stumbles" in case.sentence
    assert "KeyError: 'SN-BUG'" in case.sentence


def test_the_record_that_crashes_the_handler_is_found_by_halving(
    listening: Client, stream: Stream, buggy: pytest.MonkeyPatch
) -> None:
    real, runs = ingest.ingest, list[int]()

    def counted(batch: Sequence[Record], *more: Any) -> ingest.Outcome:
        runs.append(len(batch))
        return real(batch, *more)

    buggy.setattr(ingest, "ingest", counted)
    numbers = stream.put([*notes(63), wire("SN-BUG", "note")])

    run(listening, stream.dead_letter(numbers))

    assert stored() == list(range(63))
    assert runs == [64, 32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1]


def test_a_poison_pill_in_the_range_is_quarantined_for_what_it_is(listening: Client, stream: Stream) -> None:
    numbers = stream.put([b"not json", *notes(2), wire(colour="red")])

    run(listening, stream.dead_letter(numbers))

    assert stored() == [0, 1]
    assert {case.payload: case.reason for case in set_aside()} == {
        b"not json": "not_json",
        wire(colour="red"): "invalid_event",
    }


def test_an_aggregated_record_in_the_range_is_deaggregated(listening: Client, stream: Stream) -> None:
    aggregator = RecordAggregator()
    for note in notes(4):
        aggregator.add_user_record("SN-1", note)
    _, _, aggregated = aggregator.clear_and_get().get_contents()

    run(listening, stream.dead_letter(stream.put([aggregated])))

    assert stored() == [0, 1, 2, 3]


def test_an_aggregate_that_ingest_sets_aside_whole_is_set_aside_whole(
    listening: Client, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.ingest.poison.MAX_INDIVIDUAL_CASES", 2)
    aggregator = RecordAggregator()
    for data in (b"a", b"b", b"c", *notes(2)):
        aggregator.add_user_record("SN-1", data)
    _, _, aggregated = aggregator.clear_and_get().get_contents()

    run(listening, stream.dead_letter(stream.put([aggregated])))

    assert stored() == [0, 1]
    assert [(case.reason, case.payload) for case in wiring.quarantine().list()] == [
        ("invalid_aggregate", aggregated)
    ]


def test_records_of_other_lanes_in_the_range_are_stored_again_which_changes_nothing(
    listening: Client, stream: Stream
) -> None:
    numbers = stream.put(notes(6))
    run(listening, stream.dead_letter(numbers))

    answer = run(listening, stream.dead_letter(numbers[1:5], batchSize=2))

    assert answer == NOTHING_LEFT
    assert stored() == list(range(6))
    assert set_aside() == []


def test_triaging_a_message_twice_changes_nothing(listening: Client, stream: Stream) -> None:
    message = stream.dead_letter(stream.put([*notes(5), b"not json"]))

    run(listening, message)
    once = (wiring.history().page("SN-1", limit=None), set_aside())
    run(listening, message)

    assert (wiring.history().page("SN-1", limit=None), set_aside()) == once


@pytest.mark.parametrize("body", ["not json", "{}", '{"KinesisBatchInfo": {"shardId": 5}}', "\ud800"])
def test_a_message_that_is_no_invocation_record_is_quarantined_with_its_body(
    listening: Client, body: str
) -> None:
    event = sqs_event(body)

    answer = listening.lambda_.invoke("triage_dead_letters", event).payload

    assert answer == NOTHING_LEFT
    case = the_case()
    assert case.id == f"{settings.dead_letter_queue()}/{event['Records'][0]['messageId']}"
    assert case.reason == "not_an_invocation_record"
    assert case.payload == body.encode(errors="surrogatepass")
    assert case.arrived_at_ms == 1790000000123


def test_a_pointer_into_another_stream_is_not_followed(listening: Client, stream: Stream) -> None:
    message = stream.dead_letter(
        stream.put(notes(1)), streamArn="arn:aws:kinesis:eu-west-1:000000000000:stream/payroll"
    )

    assert run(listening, message) == NOTHING_LEFT

    assert stored() == []
    case = the_case()
    assert case.reason == "foreign_stream"
    assert "'payroll'" in case.sentence
    assert json.loads(case.payload) == message


def test_what_the_stream_no_longer_holds_becomes_one_case_and_the_rest_is_stored(
    listening: Client, stream: Stream
) -> None:
    numbers = stream.put(notes(3))
    trimmed = str(int(numbers[0]) - 1).zfill(len(numbers[0]))
    message = stream.dead_letter([trimmed, *numbers])

    assert run(listening, message) == NOTHING_LEFT

    assert stored() == [0, 1, 2]
    case = the_case()
    assert case.reason == "expired"
    assert f"from {trimmed} up to before {numbers[0]}, in a batch of 4" in case.sentence
    assert json.loads(case.payload) == message


def test_a_shard_that_is_gone_is_one_expired_case(listening: Client, stream: Stream) -> None:
    numbers = stream.put(notes(3))
    message = stream.dead_letter(numbers, shardId="shardId-000000000099")

    assert run(listening, message) == NOTHING_LEFT

    case = the_case()
    assert case.reason == "expired"
    assert f"from {numbers[0]} through {numbers[2]}" in case.sentence
    assert "ResourceNotFoundException" in case.sentence


def test_a_stream_that_is_gone_is_one_expired_case(listening: Client, stream: Stream) -> None:
    message = stream.dead_letter(stream.put(notes(3)))
    stream.kinesis.delete_stream(StreamName=stream.name)

    assert run(listening, message) == NOTHING_LEFT

    case = the_case()
    assert case.reason == "expired"
    assert f"Stream {stream.name} not found" in case.sentence


def test_the_log_line_says_where_how_many_and_how_long_the_stream_still_holds_them(
    listening: Client, stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = stream.put([*notes(3), b"hunter2"])
    arrived = text(time.time() - 3600)  # an hour of the stream's 168
    message = stream.dead_letter(numbers, approximateArrivalOfFirstRecord=arrived)

    run(listening, message)

    logged = capsys.readouterr().out
    line = json.loads(logged)
    assert "hunter2" not in logged
    assert (line["kind"], line["finished"]) == ("dead_letter", True)
    assert (line["stream"], line["shard_id"]) == (stream.name, stream.shard_id)
    assert (line["first"], line["last"], line["batch_size"]) == (numbers[0], numbers[-1], 4)
    assert (line["stored"], line["quarantined"], line["expired"]) == (3, {"not_json": 1}, 0)
    assert line["hours_left"] == pytest.approx(167, abs=0.1)
    assert line["request_id"]


def test_what_retention_took_is_logged_as_an_error_with_its_number(
    listening: Client, stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = stream.put(notes(3))
    trimmed = str(int(numbers[0]) - 1).zfill(len(numbers[0]))
    long_ago = text(time.time() - 200 * 3600)

    run(
        listening,
        stream.dead_letter([trimmed, *numbers], batchSize=10, approximateArrivalOfFirstRecord=long_ago),
    )

    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["expired"], line["stored"]) == ("ERROR", 7, 3)
    assert line["hours_left"] == pytest.approx(-32, abs=0.1)
