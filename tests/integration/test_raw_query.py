"""A page decoded here is the page that botocore would have decoded."""

from typing import Any

import boto3
import pytest
from botocore.config import Config

from chalicelib import events, settings
from chalicelib import history as table
from chalicelib.errors import UnavailableError
from chalicelib.history import History
from chalicelib.raw_query import RawQuery
from chalicelib.storage import Deadline
from tests import faults
from tests.lambda_events import wire

EVENTS = [
    events.decode(
        wire("SN-Q", occurred_at=f"2026-01-0{day}T00:00:00Z", source="plänt", metadata={"é": [1.50, None]})
    )
    for day in range(1, 8)
]


@pytest.fixture
def client(module_stage: str) -> Any:
    client = boto3.client("dynamodb", config=Config(retries={"mode": "standard", "total_max_attempts": 2}))
    History(client, settings.history_table()).write(
        [table.to_item(each, 17) for each in EVENTS], Deadline(60)
    )
    return client


def everything(**more: Any) -> dict[str, Any]:
    return {
        "TableName": settings.history_table(),
        "KeyConditionExpression": "serial = :serial",
        "ExpressionAttributeValues": {":serial": {"S": "SN-Q"}},
        **more,
    }


def test_a_page_is_what_botocore_makes_of_the_same_answer(client: Any) -> None:
    plain = client.query(**everything(Limit=3))

    page = History(client, settings.history_table()).page("SN-Q", limit=3, newest_first=False)

    assert [event.metadata for event in page.events] == [item["metadata"]["S"] for item in plain["Items"]]
    assert [event.position for event in page.events] == [event.position for event in EVENTS[:3]]
    assert page.last_read == plain["LastEvaluatedKey"]["position"]["S"]
    assert {event.recorded_at_ms for event in page.events} == {17}


def test_a_query_that_somebody_else_makes_with_the_client_is_botocores(client: Any) -> None:
    RawQuery(client).ask(everything(), lambda body: body)

    assert len(client.query(**everything())["Items"]) == len(EVENTS)


def test_an_answer_that_is_an_error_is_translated_and_leaves_nothing_behind(client: Any) -> None:
    asking = RawQuery(client)

    with pytest.raises(UnavailableError, match="ResourceNotFoundException"):
        asking.ask(everything(TableName="no-such-table"), lambda body: body)

    assert b'"Count":7' in asking.ask(everything(), lambda body: body).replace(b" ", b"")


def test_an_error_that_botocore_retried_does_not_count(client: Any) -> None:
    answers = [faults.error("InternalServerError", status=500), None]
    faults.on(client, "Query", lambda _: answers.pop(0))

    page = History(client, settings.history_table()).page("SN-Q", limit=None)

    assert len(page.events) == len(EVENTS)
    assert answers == []


def test_a_botocore_without_the_hook_gives_the_same_page(client: Any) -> None:
    history = History(client, settings.history_table())
    expected = history.page("SN-Q", limit=3)
    client.meta.events.unregister("before-parse.dynamodb.Query", history._query._take_body)

    assert history.page("SN-Q", limit=3) == expected
