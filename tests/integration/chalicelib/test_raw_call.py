"""What is written and read here is what botocore would have written and read."""

import json
from typing import Any

import boto3
import msgspec
import pytest
from botocore.config import Config

from chalicelib import settings
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.errors import UnavailableError
from chalicelib.raw_call import RawCall
from chalicelib.tables.errors import translated
from chalicelib.tables.history import History
from chalicelib.tables.items import to_item
from tests.support import faults
from tests.support.lambda_events import wire

EVENTS = [
    events.decode(
        wire("SN-Q", occurred_at=f"2026-01-0{day}T00:00:00Z", source="plänt", metadata={"é": [1.50, None]})
    )
    for day in range(1, 8)
]


@pytest.fixture
def client(module_stage: str) -> Any:
    client = boto3.client("dynamodb", config=Config(retries={"mode": "standard", "total_max_attempts": 2}))
    History(client, settings.history_table()).write([to_item(each, 17) for each in EVENTS], Deadline(60))
    return client


def everything(**more: Any) -> dict[str, Any]:
    return {
        "TableName": settings.history_table(),
        "KeyConditionExpression": "serial = :serial",
        "ExpressionAttributeValues": {":serial": {"S": "SN-Q"}},
        **more,
    }


def raw_query(client: Any) -> RawCall:
    return RawCall(client, "Query", {"TableName": settings.history_table()})


def test_a_page_is_what_botocore_makes_of_the_same_answer(client: Any) -> None:
    plain = client.query(**everything(Limit=3))

    page = History(client, settings.history_table()).page("SN-Q", limit=3, newest_first=False)

    assert [event.metadata for event in page.events] == [item["metadata"]["S"] for item in plain["Items"]]
    assert [event.position for event in page.events] == [event.position for event in EVENTS[:3]]
    assert page.last_read == plain["LastEvaluatedKey"]["position"]["S"]
    assert {event.recorded_at_ms for event in page.events} == {17}


def test_a_query_that_somebody_else_makes_with_the_client_is_botocores(client: Any) -> None:
    raw_query(client)(everything())

    assert len(client.query(**everything())["Items"]) == len(EVENTS)


def test_what_goes_over_the_wire_is_what_plain_boto3_sends(client: Any) -> None:
    plain = boto3.client("dynamodb")
    sent, expected = (
        faults.on(each, "Query", lambda _: faults.answered(200, {"Items": []})) for each in (client, plain)
    )

    raw_query(client)(everything(Limit=3, ScanIndexForward=False))
    plain.query(**everything(Limit=3, ScanIndexForward=False))

    assert sent == expected


def test_bytes_go_as_base64_where_aws_has_it_so(aws: str) -> None:
    bodies: list[bytes] = []
    records = [{"Data": b"\x00\xff plain", "PartitionKey": "é"}]
    for kinesis in (boto3.client("kinesis"), boto3.client("kinesis")):
        kinesis.meta.events.register(
            "before-send.kinesis.PutRecords",
            lambda request, **_: bodies.append(request.body) or faults.answered(200, {"Records": []}),
        )
        if bodies:
            kinesis.put_records(StreamName="s", Records=records)
        else:
            minimal = {"StreamName": "s", "Records": [{"Data": b"", "PartitionKey": "-"}]}
            RawCall(kinesis, "PutRecords", minimal)({"StreamName": "s", "Records": records})
        kinesis.close()

    ours, theirs = (json.loads(body) for body in bodies)
    assert ours == theirs


def test_a_botocore_that_speaks_another_protocol_does_it_by_itself(client: Any) -> None:
    asking = raw_query(client)
    expected = asking(everything(Limit=2))
    asking._is_json = False

    found = asking(everything(Limit=2))

    assert msgspec.json.decode(found)["Items"] == msgspec.json.decode(expected)["Items"]


def test_an_answer_that_is_an_error_is_translated_and_leaves_nothing_behind(client: Any) -> None:
    asking = raw_query(client)

    with pytest.raises(UnavailableError, match="ResourceNotFoundException"), translated():
        asking(everything(TableName="no-such-table"))

    assert b'"Count":7' in asking(everything()).replace(b" ", b"")


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
