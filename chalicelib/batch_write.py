"""BatchWriteItem with the request body encoded here.

The only place where botocore does not write a request's body itself.  Its serializer walks every value of
every item in Python, which costs more than everything else that happens to an event; msgspec encodes the
same JSON in C from items that are structs.  botocore's public `before-call` hook puts that body in place, and
endpoint, signature, timeouts and errors stay botocore's.  `tests/integration/test_batch_write.py` proves
that what goes over the wire is, as JSON, what plain boto3 would send for the same items.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.storage import translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_encode = msgspec.json.Encoder().encode


class BatchWrite:
    """Puts items into one table, up to 25 a request.  Safe to call from several threads."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._mine = threading.local()  # botocore runs its hooks on the calling thread
        client.meta.events.register("before-call.dynamodb.BatchWriteItem", self._put_body)

    def put(self, items: Sequence[msgspec.Struct]) -> Sequence[Mapping[str, Any]]:
        """One request; the items that DynamoDB left unprocessed, as it says them.

        Raises StorageError, or RefusedItemError when it refuses any of the items for what it is.
        """
        puts = [{"PutRequest": {"Item": item}} for item in items]
        self._mine.body = _encode({"RequestItems": {self._table: puts}})
        try:
            with translated():
                answer = self._client.batch_write_item(RequestItems={})
        finally:
            del self._mine.body
        unprocessed = answer.get("UnprocessedItems", {}).get(self._table, ())
        return [request["PutRequest"]["Item"] for request in unprocessed]

    def _put_body(self, params: dict[str, Any], **_: Any) -> None:
        # A batch_write_item that somebody else makes with this client keeps its own body.
        body = getattr(self._mine, "body", None)
        if body is not None:
            params["body"] = body
