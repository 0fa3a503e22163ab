"""What DynamoDB throttles, refuses or does not answer: waited out, or reported as unfinished, never lost."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from chalice.test import Client

from chalicelib import wiring
from chalicelib.errors import UnfinishedBatchError
from chalicelib.tables.quarantine import Case
from tests.support import faults
from tests.support.headings import says
from tests.support.ingest_tables import Tables
from tests.support.lambda_events import batch, sequence_numbers, wire


def notes(count: int, serial: str = "SN-1") -> list[bytes]:
    return [wire(serial, "note", metadata={"n": n}) for n in range(count)]


def stored(serial: str = "SN-1") -> list[int]:
    """The numbers that `notes` put into metadata, as the table has them."""
    page = wiring.history().page(serial, limit=None)
    return sorted(int(event.metadata.removeprefix('{"n":').removesuffix("}")) for event in page.events)


def set_aside() -> dict[bytes, Case]:
    return {case.payload: case for case in wiring.quarantine().list()}


@pytest.fixture
def tables(stage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    tables = Tables()
    yield tables
    tables.client.close()


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
