"""BatchWriteItem: up to 25 items a request into one table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.raw_call import RawCall
from chalicelib.tables.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class _PutRequest(msgspec.Struct, gc=False):
    Item: dict[str, Any]


class _WriteRequest(msgspec.Struct, gc=False):
    PutRequest: _PutRequest


class _Answer(msgspec.Struct, gc=False):
    UnprocessedItems: dict[str, list[_WriteRequest]] = {}


_answer = msgspec.json.Decoder(_Answer).decode


class BatchWrite:
    """Puts items into one table.  Safe to call from several threads."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = table
        self._call = RawCall(client, "BatchWriteItem", {"RequestItems": {}})

    def put(self, items: Sequence[msgspec.Struct]) -> list[dict[str, Any]]:
        """One request; the items that DynamoDB left unprocessed, as it says them.

        Raises StorageError, or RefusedItemError when it refuses any of the items for what it is.
        """
        puts = [{"PutRequest": {"Item": item}} for item in items]
        with translated():
            answer = _answer(self._call({"RequestItems": {self._table: puts}}))
        return [request.PutRequest.Item for request in answer.UnprocessedItems.get(self._table, ())]
