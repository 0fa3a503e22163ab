"""A long history on the embedded endpoint: the same answers as from a short one's code, and no slower."""

from typing import Any

import boto3
import pytest
from chalice.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import settings as names
from local.emulator.patches.dynamodb_long_partitions import LONG
from tests.support.api_client import flat, follow, keep
from tests.support.lambda_events import wire

COUNT = LONG + 500


def number(position: int) -> str:
    return f"{position:06d}"


@pytest.fixture
def table(module_stage: str) -> Any:
    """A partition that is long, and one that is not: Queries of that one are MiniStack's own."""
    client = boto3.client("dynamodb")
    for serial, count in (("long", COUNT), ("short", LONG - 1)):
        items = [{"serial": {"S": serial}, "position": {"S": number(n)}} for n in range(count)]
        for start in range(0, count, 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            client.batch_write_item(RequestItems={names.history_table(): puts})
    return client


def test_any_query_is_answered_as_from_a_partition_read_whole(table: Any) -> None:
    position = st.integers(-1, LONG + 1).map(number)

    def asked(serial: str, query: dict[str, Any]) -> tuple[list[str], Any]:
        given_names = {"#s": "serial"}
        values = {":s": {"S": serial}}
        condition = "#s = :s"
        # Both partitions hold the same below this, so that they can be compared.
        low, high = query["between"] or (number(0), number(LONG - 2))
        given_names["#p"] = "position"
        values |= {":low": {"S": low}, ":high": {"S": min(high, number(LONG - 2))}}
        condition += " AND #p BETWEEN :low AND :high"
        more: dict[str, Any] = {}
        if query["limit"]:
            more["Limit"] = query["limit"]
        if query["after"] is not None and low <= query["after"] <= values[":high"]["S"]:
            more["ExclusiveStartKey"] = {"serial": {"S": serial}, "position": {"S": query["after"]}}
        answer = table.query(
            TableName=names.history_table(),
            KeyConditionExpression=condition,
            ExpressionAttributeNames=given_names,
            ExpressionAttributeValues=values,
            ScanIndexForward=query["forward"],
            **more,
        )
        last = answer.get("LastEvaluatedKey", {}).get("position")
        return [item["position"]["S"] for item in answer["Items"]], last

    @settings(max_examples=60)
    @given(
        st.fixed_dictionaries(
            {
                "between": st.none() | st.tuples(position, position).map(lambda pair: tuple(sorted(pair))),
                "limit": st.sampled_from([None, 1, 7, LONG, 5000]),
                "after": st.none() | position,
                "forward": st.booleans(),
            }
        )
    )
    def same_answer(query: dict[str, Any]) -> None:
        if query["between"] and query["between"][0] > number(LONG - 2):
            return
        assert asked("long", query) == asked("short", query)

    same_answer()


def test_a_partition_that_grows_shrinks_and_grows_is_seen_as_it_is(table: Any) -> None:
    def newest() -> str:
        answer = table.query(
            TableName=names.history_table(),
            KeyConditionExpression="serial = :s",
            ExpressionAttributeValues={":s": {"S": "long"}},
            ScanIndexForward=False,
            Limit=1,
        )
        found: str = answer["Items"][0]["position"]["S"]
        return found

    assert newest() == number(COUNT - 1)
    key = {"serial": {"S": "long"}, "position": {"S": number(COUNT)}}
    table.put_item(TableName=names.history_table(), Item=key)
    assert newest() == number(COUNT)
    table.delete_item(TableName=names.history_table(), Key=key)
    assert newest() == number(COUNT - 1)


def test_a_long_history_is_paged_through_whole(client: Client) -> None:
    keep(
        client,
        *(
            wire("SN-1", "note", f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}Z", metadata={"n": n})
            for n in range(1500)
        ),
    )

    for order, expected in (("asc", list(range(1500))), ("desc", list(range(1499, -1, -1)))):
        pages = follow(client, f"/products/SN-1/events?order={order}&limit=400")
        assert (
            flat([event["metadata"]["n"] for event in page.json_body["events"]] for page in pages) == expected
        )
