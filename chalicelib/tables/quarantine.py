"""The quarantine table: records set aside, byte for byte, until a person decides.

The only module that reads and writes it.  A record's `id` is its place on the stream, so setting it aside
twice sets it aside once; the put is conditional, so a replay never reopens what somebody discarded.  Parts
are written before the head that counts them, so that a head always has all of them.

`by-status` is a keys-only index on `<status>#<0..7>` and arrival time: eight partitions, because a broken
producer sends all its records with one status and must not throttle ingest.

The table also holds triage's progress (`progress.py`): items without a status, which no list shows.
"""

import heapq
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.deadline import Deadline
from chalicelib.errors import StorageError
from chalicelib.tables import cases
from chalicelib.tables.cases import AuditEntry, Head, Status
from chalicelib.tables.cases import Case as Case
from chalicelib.tables.errors import patiently, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: Heads read in one BatchGetItem: each may be 400 KB and an answer holds 16 MB (DynamoDB API reference).
HEADS_AT_ONCE = 40

#: A person waits this long for heads that DynamoDB leaves unread because it is too busy.
LIST_PATIENCE_S = 30.0


class Quarantine:
    """The quarantine table behind a low-level DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, case: Case) -> bool:
        """Set a record aside; False when it was set aside before, which changes nothing.

        Raises StorageError, or RefusedItemError when DynamoDB refuses the head for what it is.
        """
        pieces = cases.chunks(case.payload)
        with translated():
            for number, piece in enumerate(pieces[1:], start=1):
                self._client.put_item(TableName=self._table, Item=cases.part(case.id, number, piece))
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=cases.to_head_item(case, pieces),
                    ConditionExpression="attribute_not_exists(id)",
                )
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    def put_patiently(self, case: Case, deadline: Deadline) -> bool:
        """Set a record aside, trying until the deadline; whether it is there now."""
        return patiently(lambda: self.put(case), deadline)

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
        # Parts without a head: its put is still going on, or was cut off.  No status: triage's progress.
        if not items or "status" not in items[0]:
            return None
        return cases.from_items(items)

    def move(self, id_: str, to: Status, entry: AuditEntry, corrected: bytes | None = None) -> bool:
        """Close an open case, and append to its audit trail who did it and why.

        False, and nothing has changed, when it is not open (any more) or not there.  `corrected` is kept
        beside the original.  Raises StorageError.
        """
        names = {"#status": "status"}
        values: dict[str, Any] = {
            ":open": {"S": "open"},
            ":to": {"S": to},
            ":bucket": {"S": f"{to}#{cases.bucket(id_)}"},
            ":entry": {"L": [cases.audit_value(entry)]},
        }
        update = "SET #status = :to, status_bucket = :bucket, trail = list_append(trail, :entry)"
        with translated():
            if corrected is not None:
                start, pieces = cases.correction_base(entry.at_ms), cases.chunks(corrected)
                for number, piece in enumerate(pieces, start):
                    self._client.put_item(TableName=self._table, Item=cases.part(id_, number, piece))
                update += ", corrected_from = :start, corrected_parts = :count"
                values |= {":start": {"N": str(start)}, ":count": {"N": str(len(pieces))}}
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key={"id": {"S": id_}, "part": {"N": "0"}},
                    UpdateExpression=update,
                    ConditionExpression="#status = :open",
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                )
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    return False
                raise
        return True

    def ids(self, status: Status = "open", since_ms: int = 0) -> Iterator[str]:
        """The ids of the cases in a status that arrived at or after a moment, oldest first.

        From the index, which may be a moment behind the table.  Raises StorageError.
        """
        buckets = [self._bucket(f"{status}#{bucket}", since_ms) for bucket in range(cases.BUCKETS)]
        for _, id_ in heapq.merge(*buckets):
            yield id_

    def _bucket(self, bucket: str, since_ms: int) -> Iterator[tuple[int, str]]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "by-status",
            "KeyConditionExpression": "status_bucket = :bucket AND arrived_at >= :since",
            "ExpressionAttributeValues": {":bucket": {"S": bucket}, ":since": {"N": str(since_ms)}},
        }
        while True:
            with translated():
                answer = self._client.query(**query)
            for item in answer["Items"]:
                yield int(item["arrived_at"]["N"]), item["id"]["S"]
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def heads(
        self,
        status: Status = "open",
        *,
        reason: str | None = None,
        since_ms: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[Head]:
        """The cases in a status without their payloads, oldest first.  Raises StorageError."""
        ids = self.ids(status, since_ms)
        while chosen := list(islice(ids, HEADS_AT_ONCE)):
            found = self._heads(chosen, sleep)
            for id_ in chosen:
                head = found.get(id_)
                if head is not None and head.status == status and reason in (None, head.reason):
                    yield head

    def _heads(self, ids: "list[str]", sleep: Callable[[float], None]) -> dict[str, Head]:
        found = {}
        names = {f"#{name}": name for name in cases.HEAD_ATTRIBUTES}
        wanted: Any = {
            self._table: {
                "Keys": [{"id": {"S": id_}, "part": {"N": "0"}} for id_ in ids],
                "ProjectionExpression": ", ".join(names),
                "ExpressionAttributeNames": names,
                "ConsistentRead": True,
            }
        }
        for _ in Deadline(LIST_PATIENCE_S, sleep=sleep).attempts():
            with translated():
                answer = self._client.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, []):
                head = cases.from_head_item(item)
                found[head.id] = head
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return found
        raise StorageError(
            f"DynamoDB left heads of cases unread for {LIST_PATIENCE_S:.0f} s; try again later"
        )

    def list(self, status: Status = "open") -> Iterator[Case]:
        """The records in a status, oldest first, each read whole.  Raises StorageError."""
        for id_ in self.ids(status):
            case = self.get(id_)
            if case is not None and case.status == status:
                yield case
