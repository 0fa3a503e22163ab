"""The quarantine table: records set aside, byte for byte, until a person decides.

The only module that knows its attributes and keys.  A record's `id` is its place on the stream, so setting
it aside twice sets it aside once; the put is conditional, so a replay never reopens what somebody
discarded.  A payload larger than one item lies in several parts: part 0 is the head with everything else,
written last, so that a head always has all its parts.

`by-status` is a keys-only index on `<status>#<0..7>` and arrival time: eight partitions, because a broken
producer sends all its records with one status and must not throttle ingest.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args
from zlib import crc32

import msgspec
from botocore.exceptions import ClientError

from chalicelib.errors import StorageError
from chalicelib.storage import Deadline, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

Status = Literal["open", "redriven", "discarded"]
STATUSES: tuple[Status, ...] = get_args(Status)

#: Payload bytes in one item: below 400 KB with room for a head's other attributes.
PART_BYTES = 256 * 1024

BUCKETS = 8

#: A sentence longer than this (a traceback, say) keeps its beginning and its end.
SENTENCE_CHARS = 16_000


class Deed(msgspec.Struct, frozen=True, gc=False):
    """One line of the audit trail: who did what, when, and why."""

    at_ms: int
    who: str
    what: str


class Case(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record set aside: what it was, why it is here, and what has been done about it."""

    id: str
    reason: str
    sentence: str
    payload: bytes
    partition_key: str
    arrived_at_ms: int
    status: Status = "open"
    trail: list[Deed] = []


class Quarantine:
    """The quarantine table behind a low-level DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, case: Case) -> bool:
        """Set a record aside; False when it was set aside before, which changes nothing.

        Raises StorageError, or RefusedItemError when DynamoDB refuses the head for what it is.
        """
        payload = case.payload
        cuts = range(0, max(len(payload), 1), PART_BYTES)
        chunks = [payload[cut : cut + PART_BYTES] for cut in cuts]
        with translated():
            for part, chunk in enumerate(chunks[1:], start=1):
                self._client.put_item(
                    TableName=self._table,
                    Item={"id": {"S": case.id}, "part": {"N": str(part)}, "payload": {"B": chunk}},
                )
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=_head(case, chunks),
                    ConditionExpression="attribute_not_exists(id)",
                )
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    def put_patiently(self, case: Case, deadline: Deadline) -> bool:
        """Set a record aside, trying until the deadline; whether it is there now."""
        for _ in deadline.attempts():
            try:
                self.put(case)
            except StorageError:
                continue
            return True
        return False

    def get(self, id_: str) -> Case | None:
        """The record set aside under this id, its payload whole; None when there is none."""
        items: list[dict[str, Any]] = []
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "id = :id",
            "ExpressionAttributeValues": {":id": {"S": id_}},
            "ConsistentRead": True,
        }
        while True:
            with translated():
                answer = self._client.query(**query)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        if not items or items[0]["part"]["N"] != "0":
            return None
        head = items[0]
        parts = int(head["parts"]["N"])
        return _from_head(head, b"".join(item["payload"]["B"] for item in items[:parts]))

    def ids(self, status: Status = "open") -> Iterator[str]:
        """The ids of the records in a status, oldest first within each of the index's partitions."""
        for bucket in range(BUCKETS):
            query: dict[str, Any] = {
                "TableName": self._table,
                "IndexName": "by-status",
                "KeyConditionExpression": "status_bucket = :bucket",
                "ExpressionAttributeValues": {":bucket": {"S": f"{status}#{bucket}"}},
            }
            while True:
                with translated():
                    answer = self._client.query(**query)
                for item in answer["Items"]:
                    yield item["id"]["S"]
                if "LastEvaluatedKey" not in answer:
                    break
                query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def list(self, status: Status = "open") -> Iterator[Case]:
        """The records in a status, each read whole.  The index may be a moment behind the table."""
        for id_ in self.ids(status):
            case = self.get(id_)
            if case is not None and case.status == status:
                yield case


def _head(case: Case, chunks: list[bytes]) -> dict[str, Any]:
    return {
        "id": {"S": case.id},
        "part": {"N": "0"},
        "parts": {"N": str(len(chunks))},
        "payload": {"B": chunks[0]},
        "reason": {"S": case.reason},
        "sentence": {"S": _shortened(case.sentence)},
        "partition_key": {"S": case.partition_key},
        "arrived_at": {"N": str(case.arrived_at_ms)},
        "status": {"S": case.status},
        "status_bucket": {"S": f"{case.status}#{_bucket(case.id)}"},
        "trail": {"L": [_deed(deed) for deed in case.trail]},
    }


def _from_head(head: dict[str, Any], payload: bytes) -> Case:
    return Case(
        id=head["id"]["S"],
        reason=head["reason"]["S"],
        sentence=head["sentence"]["S"],
        payload=payload,
        partition_key=head["partition_key"]["S"],
        arrived_at_ms=int(head["arrived_at"]["N"]),
        status=head["status"]["S"],
        trail=[
            Deed(int(deed["M"]["at"]["N"]), deed["M"]["who"]["S"], deed["M"]["what"]["S"])
            for deed in head["trail"]["L"]
        ],
    )


def _deed(deed: Deed) -> dict[str, Any]:
    return {"M": {"at": {"N": str(deed.at_ms)}, "who": {"S": deed.who}, "what": {"S": deed.what}}}


def _bucket(id_: str) -> int:
    return crc32(id_.encode()) % BUCKETS


def _shortened(sentence: str) -> str:
    if len(sentence) <= SENTENCE_CHARS:
        return sentence
    half = SENTENCE_CHARS // 2
    return f"{sentence[:half]} […] {sentence[-half:]}"
