"""A batch of records through the deployed handler into real tables, on good days and bad ones."""

import os
import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from chalice.test import Client

from chalicelib import wiring
from chalicelib.errors import UnfinishedBatchError
from chalicelib.ingest.poison import MAX_INDIVIDUAL_CASES
from chalicelib.tables.quarantine import Case
from tests.support import failing_code, faults
from tests.support.headings import says
from tests.support.ingest_tables import Tables
from tests.support.lambda_events import batch, record, sequence_numbers, wire


def notes(count: int, serial: str = "SN-1") -> list[bytes]:
    return [wire(serial, "note", metadata={"n": n}) for n in range(count)]


def stored(serial: str = "SN-1") -> list[int]:
    """The numbers that `notes` put into metadata, as the table has them."""
    page = wiring.history().page(serial, limit=None)
    return sorted(int(event.metadata.removeprefix('{"n":').removesuffix("}")) for event in page.events)


def set_aside() -> dict[bytes, Case]:
    return {case.payload: case for case in wiring.quarantine().list()}


@pytest.fixture
def listening(client: Client) -> Client:
    """A client whose event source mapping listens to partial responses."""
    os.environ["LIFECYCLE_PARTIAL_RESPONSES"] = "on"
    return client


@pytest.fixture
def tables(stage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    tables = Tables()
    yield tables
    tables.client.close()


def test_every_event_of_a_batch_is_kept(listening: Client) -> None:
    response = listening.lambda_.invoke("process_lifecycle", batch(notes(60)))

    assert response.payload == {"batchItemFailures": []}
    assert stored() == list(range(60))


def test_a_redelivered_batch_changes_nothing(listening: Client) -> None:
    event = batch(notes(3))

    listening.lambda_.invoke("process_lifecycle", event)
    once = wiring.history().page("SN-1", limit=None)
    listening.lambda_.invoke("process_lifecycle", event)

    assert wiring.history().page("SN-1", limit=None) == once


def test_a_key_twice_in_one_batch_is_written_once(listening: Client) -> None:
    listening.lambda_.invoke("process_lifecycle", batch(notes(3) * 20))

    assert stored() == [0, 1, 2]


def test_poison_pills_are_quarantined_byte_for_byte_and_their_batch_goes_on(listening: Client) -> None:
    half_a_euro = "€".encode()[:-1]
    poison = {
        b"not json": "not_json",
        b'{"serial": "SN-1", "note": "' + half_a_euro: "not_utf8",
        wire(colour="red"): "invalid_event",
        wire(occurred_at="2026-13-01"): "invalid_event",
        wire(metadata={"text": "x" * 410_000}): "too_large",
        wire(occurred_at=f"2026-01-01T00:00:00.{'1' * 410_000}Z"): "too_large",
        b"": "not_json",
        random.Random(7).randbytes(1_000_000): "not_utf8",
    }

    response = listening.lambda_.invoke("process_lifecycle", batch([*poison, *notes(30)]))

    assert response.payload == {"batchItemFailures": []}
    assert stored() == list(range(30))
    assert {payload: case.reason for payload, case in set_aside().items()} == poison


def aggregated(*data: bytes) -> bytes:
    aggregator = RecordAggregator()
    for each in data:
        aggregator.add_user_record("SN-1", each)
    whole: bytes = aggregator.clear_and_get().get_contents()[2]
    return whole


def test_an_aggregate_with_very_many_records_that_are_no_events_is_one_case(listening: Client) -> None:
    """A megabyte holds some 170,000 empty ones: a case each would take longer than any invocation has."""
    flood = aggregated(*[b"?"] * (MAX_INDIVIDUAL_CASES + 1), *notes(3))
    event = batch([flood, b"not json"])

    for _ in range(2):
        response = listening.lambda_.invoke("process_lifecycle", event)
        assert response.payload == {"batchItemFailures": []}

    assert stored() == [0, 1, 2]
    assert {payload: case.reason for payload, case in set_aside().items()} == {
        flood: "invalid_aggregate",
        b"not json": "not_json",
    }
    case = set_aside()[flood]
    assert case.id.endswith(f"shardId-000000000000/{sequence_numbers(event)[0]}")
    assert case.sentence == (
        "with this aggregate's, more than 1000 records of aggregates in one batch cannot be stored: "
        "not JSON at line 1 column 1: Expecting value"
    )


def test_an_aggregate_with_a_few_records_that_are_no_events_is_a_case_for_each(
    listening: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.ingest.poison.MAX_INDIVIDUAL_CASES", 3)

    listening.lambda_.invoke(
        "process_lifecycle", batch([aggregated(b"a", b"b", b"c", *notes(1)), b"d", b"e"])
    )

    assert stored() == [0]
    assert set(set_aside()) == {b"a", b"b", b"c", b"d", b"e"}


def test_an_aggregate_that_quarantine_does_not_take_is_where_lambda_resumes(tables: Tables) -> None:
    faults.on(tables.client, "PutItem", lambda _: faults.error("InternalServerError", status=500))
    event = batch([*notes(1), aggregated(*[b"?"] * (MAX_INDIVIDUAL_CASES + 1)), *notes(3)])

    outcome = tables.ingest(event)

    assert outcome.earliest_unfinished().sequence_number == sequence_numbers(event)[1]  # type: ignore[union-attr]


def test_a_quarantined_record_keeps_its_place_on_the_stream(listening: Client) -> None:
    poison = record(b"not json", partition_key="SN-9", arrived_at=1790000000.123)

    listening.lambda_.invoke("process_lifecycle", {"Records": [poison]})

    (case,) = set_aside().values()
    assert case.id == f"lifecycle-test-events/{poison['eventID'].replace(':', '/')}"
    assert (case.partition_key, case.arrived_at_ms, case.status) == ("SN-9", 1790000000123, "open")
    assert case.sentence == "not JSON at line 1 column 1: Expecting value"


def test_a_replay_does_not_quarantine_twice(listening: Client) -> None:
    event = batch([b"not json"])

    listening.lambda_.invoke("process_lifecycle", event)
    listening.lambda_.invoke("process_lifecycle", event)

    assert len(list(wiring.quarantine().list())) == 1


def test_the_largest_item_that_dynamodb_keeps_is_kept(listening: Client) -> None:
    rest = len("serialSN-1positiontypeproductionoccurred_at2026-01-01T00:00:00Zmetadatarecorded_at") + 60 + 8
    text = "x" * (400 * 1024 - rest - 40)

    listening.lambda_.invoke("process_lifecycle", batch([wire(metadata={"text": text})]))

    assert not set_aside()
    assert len(wiring.history().page("SN-1", limit=None).events) == 1


def test_an_item_that_only_dynamodb_knows_to_be_too_large_is_found_among_25(tables: Tables) -> None:
    # The table's own limit is at 409,600 bytes; our estimate counts a number as one byte, so an item just
    # above the limit passes it and fails the whole request.
    def sized(characters: int) -> bytes:
        return wire("SN-1", metadata={"text": "x" * characters})

    overhead = 409_600 - len(
        "serialSN-1positiontypeproductionoccurred_at2026-01-01T00:00:00Zmetadatarecorded_at"
    )
    just_above = sized(overhead - 60 - 11 - 1)

    outcome = tables.ingest(batch([*notes(12), just_above, *notes(24)[12:]]))

    assert [str(error)[:13] for _, error in outcome.quarantined] == ["DynamoDB said"]
    assert outcome.stored == 24
    assert [record.data for record, _ in outcome.quarantined] == [just_above]


def test_what_dynamodb_leaves_unprocessed_is_sent_again_and_nothing_else(tables: Tables) -> None:
    def leave_two(body: dict[str, Any]) -> Any:
        ((table, requests),) = body["RequestItems"].items()
        if len(requests) < 3:
            return None
        kept = {"RequestItems": {table: requests[2:]}}
        boto3.client("dynamodb").batch_write_item(**kept)
        return faults.answered(200, {"UnprocessedItems": {table: requests[:2]}})

    seen = faults.on(tables.client, "BatchWriteItem", leave_two)

    outcome = tables.ingest(batch(notes(25)))

    ((_, second),) = seen[1]["RequestItems"].items()
    assert (outcome.stored, outcome.unfinished, len(second)) == (25, [], 2)
    assert stored() == list(range(25))


def test_throttling_is_waited_out_with_growing_pauses(tables: Tables) -> None:
    throttled = faults.first(4, lambda: faults.error("ProvisionedThroughputExceededException"))
    faults.on(tables.client, "BatchWriteItem", throttled)

    outcome = tables.ingest(batch(notes(5)))

    assert (outcome.stored, outcome.throttled_requests) == (5, 4)
    assert tables.pauses == [0.05, 0.1, 0.2, 0.4]


@pytest.mark.parametrize("body", [b"", b"<html>captive portal</html>", b'{"UnprocessedItems": null}', b"[]"])
def test_an_answer_that_is_none_of_dynamodb_s_is_no_answer(tables: Tables, body: bytes) -> None:
    faults.on(tables.client, "BatchWriteItem", faults.first(2, lambda: faults.said(200, body)))

    outcome = tables.ingest(batch(notes(5)))

    assert (outcome.stored, outcome.unfinished) == (5, [])
    assert stored() == list(range(5))


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(lambda: faults.error("ProvisionedThroughputExceededException"), id="throttled"),
        pytest.param(lambda: faults.error("InternalServerError", status=500), id="down"),
        pytest.param(lambda: faults.error("AccessDeniedException"), id="access denied"),
        pytest.param(lambda: faults.error("ResourceNotFoundException"), id="no table"),
        pytest.param(lambda: faults.error("UnrecognizedClientException"), id="credentials"),
        pytest.param(
            lambda: faults.error("ValidationException", "The provided key element does not match the schema"),
            id="another table's keys",
        ),
    ],
)
def test_an_outage_is_waited_out_until_the_deadline_and_then_named_not_quarantined(
    tables: Tables, response: Any
) -> None:
    seen = faults.on(tables.client, "BatchWriteItem", lambda _: response())
    event = batch(notes(100))

    outcome = tables.ingest(event, seconds=60)

    assert (outcome.stored, outcome.quarantined) == (0, [])
    assert 50 < tables.now <= 60
    assert len(seen) < 4 * 40  # requests follow time, not records
    assert outcome.earliest_unfinished().sequence_number == sequence_numbers(event)[0]  # type: ignore[union-attr]


def test_the_earliest_unfinished_record_is_where_lambda_resumes(tables: Tables) -> None:
    fail = {"50", "80"}

    def refuse(body: dict[str, Any]) -> Any:
        ((_, requests),) = body["RequestItems"].items()
        texts = {request["PutRequest"]["Item"]["metadata"]["S"] for request in requests}
        return faults.error("ThrottlingException") if texts & {f'{{"n":{n}}}' for n in fail} else None

    faults.on(tables.client, "BatchWriteItem", refuse)
    event = batch(notes(100))

    outcome = tables.ingest(event)

    assert outcome.stored == 50
    assert outcome.earliest_unfinished().sequence_number == sequence_numbers(event)[50]  # type: ignore[union-attr]


def test_a_poison_pill_that_quarantine_does_not_take_is_unfinished(tables: Tables) -> None:
    faults.on(tables.client, "PutItem", lambda _: faults.error("InternalServerError", status=500))
    event = batch([*notes(3), b"not json", *notes(5)[3:]])

    outcome = tables.ingest(event)

    assert (outcome.stored, [record.data for record in outcome.unfinished]) == (5, [b"not json"])


def test_nothing_is_tried_once_time_is_up(tables: Tables) -> None:
    seen = faults.on(tables.client, "BatchWriteItem", lambda _: None)

    outcome = tables.ingest(batch(notes(30)), seconds=0)

    assert (outcome.stored, outcome.unfinished[0].data, seen) == (0, notes(1)[0], [])


def test_a_mapping_that_listens_is_told_where_to_resume(listening: Client) -> None:
    os.environ["LIFECYCLE_HISTORY_TABLE"] = "no-such-table"
    event = batch(notes(3))

    response = listening.lambda_.invoke("process_lifecycle", event)

    assert response.payload == {"batchItemFailures": [{"itemIdentifier": sequence_numbers(event)[0]}]}


def test_a_mapping_that_does_not_listen_gets_an_exception_instead_of_a_report(client: Client) -> None:
    os.environ["LIFECYCLE_HISTORY_TABLE"] = "no-such-table"

    with pytest.raises(UnfinishedBatchError, match="3 of 3 records unfinished, the earliest at sh") as raised:
        client.lambda_.invoke("process_lifecycle", batch(notes(3)))
    assert says("… of … records unfinished", str(raised.value))


def test_a_bug_escapes_loudly_after_the_requests_in_flight(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_code.on_product(monkeypatch, "SN-BUG")

    with pytest.raises(KeyError, match="SN-BUG"):
        tables.ingest(batch([*notes(40), *notes(1, "SN-BUG"), *notes(20)]))

    assert stored() == list(range(25))


def test_product_data_stays_out_of_the_log(listening: Client, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2"

    listening.lambda_.invoke(
        "process_lifecycle", batch([wire(metadata={"k": secret}), secret.encode(), *notes(2)])
    )

    logged = capsys.readouterr().out
    assert '"stored":3' in logged
    assert '"quarantined":{"not_json":1}' in logged
    assert secret not in logged
