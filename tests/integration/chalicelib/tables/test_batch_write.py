"""The request body that is encoded here is the one that boto3 would send."""

import json
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import settings as names
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.errors import UnavailableError
from chalicelib.tables.history import History
from chalicelib.tables.items import Item, to_item
from tests.support import faults
from tests.support.lambda_events import wire


def items(metadata: list[dict[str, Any]]) -> list[Item]:
    return [
        to_item(events.decode(wire(metadata=each, event_id=str(n), source="plant")), 1790000000000 + n)
        for n, each in enumerate(metadata)
    ]


def for_boto3(item: Item) -> dict[str, Any]:
    """The item as somebody would give it to plain boto3."""
    given: dict[str, Any] = msgspec.to_builtins(item)
    return given


def test_what_goes_over_the_wire_is_what_plain_boto3_sends(module_stage: str) -> None:
    ours, plain = (
        boto3.client("dynamodb", config=Config(parameter_validation=False)),
        boto3.client("dynamodb"),
    )
    ours_history = History(ours, names.history_table())
    sent, expected = (
        faults.on(client, "BatchWriteItem", lambda _: faults.answered(200, {"UnprocessedItems": {}}))
        for client in (ours, plain)
    )
    text = st.text(st.characters(exclude_categories=["Cs"]))

    @settings(max_examples=50)
    @given(st.lists(st.dictionaries(text, text | st.integers()), min_size=1, max_size=25))
    def same_body(metadata: list[dict[str, Any]]) -> None:
        ours_history.write(items(metadata), Deadline(60))
        plain.batch_write_item(
            RequestItems={
                names.history_table(): [{"PutRequest": {"Item": for_boto3(item)}} for item in items(metadata)]
            }
        )
        assert sent.pop() == expected.pop()

    same_body()


def test_dynamodb_takes_it_signature_and_all(module_stage: str) -> None:
    client = boto3.client("dynamodb")
    signed: list[tuple[str, str]] = []
    client.meta.events.register(
        "before-send.dynamodb.BatchWriteItem",
        lambda request, **_: signed.append(
            (request.headers["Authorization"], request.headers["Content-Length"])
        ),
    )
    batch = items([{"a": "Zoë"}])

    written = History(client, names.history_table()).write(batch, Deadline(60))

    assert written.unfinished == []
    stored = for_boto3(batch[0])
    key = {"serial": stored["serial"], "position": stored["position"]}
    assert client.get_item(TableName=names.history_table(), Key=key)["Item"] == stored
    ((authorization, length),) = signed
    assert (
        b"Signature=" in authorization if isinstance(authorization, bytes) else "Signature=" in authorization
    )
    assert int(length) == len(json.dumps(stored, ensure_ascii=False, separators=(",", ":")).encode()) + len(
        f'{{"RequestItems":{{"{names.history_table()}":[{{"PutRequest":{{"Item":}}}}]}}}}'
    )


def test_errors_stay_botocores_and_become_ours(module_stage: str) -> None:
    client = boto3.client("dynamodb")

    lost = History(client, "no-such-table").write(items([{}]), Deadline(0.2))
    refused = History(client, names.history_table()).write(items([{}]) * 2, Deadline(60))

    assert isinstance(lost.last_error, UnavailableError)
    assert "ResourceNotFoundException" in str(lost.last_error)
    assert refused.unfinished == refused.refused == []  # a key twice in one request: found by halving


def test_another_call_with_the_same_client_keeps_its_own_body(module_stage: str) -> None:
    client = boto3.client("dynamodb")
    History(client, names.history_table()).write(items([{}]), Deadline(60))
    other = for_boto3(items([{"other": "call"}])[0])

    client.batch_write_item(RequestItems={names.history_table(): [{"PutRequest": {"Item": other}}]})

    key = {"serial": other["serial"], "position": other["position"]}
    assert client.get_item(TableName=names.history_table(), Key=key)["Item"] == other
