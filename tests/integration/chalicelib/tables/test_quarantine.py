"""The quarantine table: set aside once, byte for byte, and found again."""

from uuid import uuid4

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.tables import cases
from chalicelib.tables.cases import PART_BYTES, Case
from tests.support import faults


def case(payload: bytes = b"not json", **changes: object) -> Case:
    fields: dict[str, object] = {
        "id": f"stream/shardId-000000000000/{uuid4().int}",
        "reason": "not_json",
        "sentence": "not JSON at line 1 column 1: Expecting value",
        "payload": payload,
        "partition_key": "SN-1",
        "arrived_at_ms": 1790000000123,
        **changes,
    }
    return Case(**fields)  # type: ignore[arg-type]


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 10 * 1024 * 1024])
def test_a_payload_of_any_size_is_kept_byte_for_byte(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    one = case(payload[:size])

    wiring.quarantine().put(one)

    assert wiring.quarantine().get(one.id) == one


@pytest.mark.usefixtures("stage")
def test_a_record_is_set_aside_once_and_a_replay_never_reopens_it() -> None:
    one = case()
    assert wiring.quarantine().put(one) is True
    boto3.resource("dynamodb").Table(wiring.quarantine()._table).update_item(
        Key={"id": one.id, "part": 0},
        UpdateExpression="SET #status = :discarded",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":discarded": "discarded"},
    )

    assert wiring.quarantine().put(one) is False

    found = wiring.quarantine().get(one.id)
    assert found is not None
    assert found.status == "discarded"


@pytest.mark.usefixtures("stage")
def test_a_head_is_only_there_when_all_its_parts_are() -> None:
    one = case(b"x" * (2 * PART_BYTES))
    store = wiring.quarantine()
    faults.on(
        store._client,
        "PutItem",
        lambda body: (
            faults.error("InternalServerError", status=500) if body["Item"]["part"]["N"] == "0" else None
        ),
    )

    with pytest.raises(Exception, match="InternalServerError"):
        store.put(one)

    assert store.get(one.id) is None
    assert list(store.ids()) == []


@pytest.mark.usefixtures("stage")
def test_records_are_listed_by_status_across_the_indexs_partitions() -> None:
    put = {each.id: each for each in (case() for _ in range(40))}
    for each in put.values():
        wiring.quarantine().put(each)

    assert {each.id: each for each in wiring.quarantine().list("open")} == put
    assert list(wiring.quarantine().list("discarded")) == []
    assert len({cases.bucket(id_) for id_ in put}) == cases.BUCKETS


@pytest.mark.usefixtures("stage")
def test_a_sentence_as_long_as_a_traceback_keeps_its_beginning_and_its_end() -> None:
    one = case(sentence="begin" + "€" * 100_000 + "end", payload=b"x" * PART_BYTES)

    wiring.quarantine().put(one)

    found = wiring.quarantine().get(one.id)
    assert found is not None
    assert found.sentence.startswith("begin€")
    assert found.sentence.endswith("€end")


def test_any_payload_and_any_text_comes_back_as_it_went(module_stage: str) -> None:
    @settings(max_examples=50)
    @given(st.binary(), st.text(max_size=256), st.text(max_size=200))
    def round_trip(payload: bytes, partition_key: str, sentence: str) -> None:
        one = case(payload, partition_key=partition_key, sentence=sentence)
        wiring.quarantine().put(one)
        assert wiring.quarantine().get(one.id) == one

    round_trip()
