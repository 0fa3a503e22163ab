"""The history table: a product's events, sorted by when they happened.

The only module that knows its attributes and keys.  A product's history is a grow-only set and an event's
key is its content, so a write needs no condition and no read: writing the same event again writes the same
item, and two different events never share a key.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.deadline import Deadline
from chalicelib.domain.events import Event
from chalicelib.errors import RefusedItemError, StorageError
from chalicelib.raw_call import RawCall
from chalicelib.tables.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: Items in one BatchWriteItem (DynamoDB API reference).  At 400 KB an item they stay below its 16 MB.
MAX_BATCH_ITEMS = 25

#: The largest item DynamoDB keeps: names and values, in UTF-8 bytes (DynamoDB developer guide, "Limits").
MAX_ITEM_BYTES = 400 * 1024

#: At least this much a number takes.  Too little on purpose: what is near the limit DynamoDB decides.
_NUMBER_BYTES = 1


class StoredEvent(Event, frozen=True, kw_only=True, gc=False):
    """An event as the table holds it; `recorded_at_ms` is when the stream first or last carried it."""

    recorded_at_ms: int


class Page(msgspec.Struct, frozen=True, gc=False):
    """Events of one Query in its order.

    `last_read` is the position to go on behind, None when DynamoDB has no more.  With a filter it lies
    behind the last event that matched; and what follows it may turn out to be nothing.
    """

    events: list[StoredEvent]
    last_read: str | None


class Written(msgspec.Struct, gc=False):
    """What became of the items of one write, by index into what was given."""

    unfinished: list[int]
    refused: list[tuple[int, RefusedItemError]]
    throttled_requests: int = 0
    last_error: StorageError | None = None


class _Text(msgspec.Struct, gc=False):
    S: str


class _Number(msgspec.Struct, gc=False):
    N: str


class Item(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The item that holds an event, in DynamoDB's JSON.

    A struct and not a dict of dicts: a tenth of the memory, and nothing for the garbage collector.
    """

    serial: _Text
    position: _Text
    type: _Text
    occurred_at: _Text
    metadata: _Text
    recorded_at: _Number
    event_id: _Text | None = None
    source: _Text | None = None


class _Key(msgspec.Struct, gc=False):
    position: _Text


class _Answer(msgspec.Struct, gc=False):
    items: list[Item] = msgspec.field(name="Items")
    last: _Key | None = msgspec.field(name="LastEvaluatedKey", default=None)


_answer = msgspec.json.Decoder(_Answer).decode


class _PutRequest(msgspec.Struct, gc=False):
    Item: dict[str, Any]


class _WriteRequest(msgspec.Struct, gc=False):
    PutRequest: _PutRequest


class _BatchAnswer(msgspec.Struct, gc=False):
    UnprocessedItems: dict[str, list[_WriteRequest]] = {}


_batch_answer = msgspec.json.Decoder(_BatchAnswer).decode


def to_item(event: Event, recorded_at_ms: int) -> Item:
    """The item that holds an event.

    Raises RefusedItemError when it is larger than any item can be, without asking DynamoDB: 25 such items
    would break the request's own limit and take their neighbours with them.
    """
    item = Item(
        serial=_Text(event.serial),
        position=_Text(event.position),
        type=_Text(event.type),
        occurred_at=_Text(event.occurred_at),
        metadata=_Text(event.metadata),
        recorded_at=_Number(str(recorded_at_ms)),
        event_id=None if event.event_id is None else _Text(event.event_id),
        source=None if event.source is None else _Text(event.source),
    )
    if (len(event.metadata) + len(event.occurred_at)) * 4 > MAX_ITEM_BYTES // 2:
        size = _item_bytes(item)
        if size > MAX_ITEM_BYTES:
            raise RefusedItemError(
                "too_large", f"the item would have {size} bytes, DynamoDB keeps {MAX_ITEM_BYTES}"
            )
    return item


class History:
    """The history table behind a low-level DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = table
        self._batch_write = RawCall(client, "BatchWriteItem", {"RequestItems": {}})
        self._query = RawCall(client, "Query", {"TableName": table})

    def write(self, items: Sequence[Item], deadline: Deadline) -> Written:
        """Write up to 25 items with different keys, trying until the deadline.

        What DynamoDB leaves unprocessed is sent again; an item it refuses is found by halving and the rest
        goes on.  Never raises StorageError: what it could not finish is in the answer, with the reason.
        """
        written = Written(unfinished=[], refused=[])
        self._write(items, list(range(len(items))), deadline, written)
        return written

    def _write(self, items: Sequence[Item], pending: list[int], deadline: Deadline, written: Written) -> None:
        for _ in deadline.attempts():
            try:
                pending = self._put([items[index] for index in pending], pending)
            except RefusedItemError as exc:
                if len(pending) == 1:
                    written.refused.append((pending[0], exc))
                else:
                    middle = len(pending) // 2
                    self._write(items, pending[:middle], deadline, written)
                    self._write(items, pending[middle:], deadline, written)
                return
            except StorageError as exc:
                written.last_error = exc
            if not pending:
                return
            written.throttled_requests += 1
        written.unfinished += pending

    def _put(self, items: Sequence[Item], indices: list[int]) -> list[int]:
        """One BatchWriteItem; the indices of the items it left unprocessed."""
        puts = [{"PutRequest": {"Item": item}} for item in items]
        with translated():
            answer = _batch_answer(self._batch_write({"RequestItems": {self._table: puts}}))
        unprocessed = [request.PutRequest.Item for request in answer.UnprocessedItems.get(self._table, ())]
        if not unprocessed:
            return []
        left = {(item["serial"]["S"], item["position"]["S"]) for item in unprocessed}
        return [
            index
            for index, item in zip(indices, items, strict=True)
            if (item.serial.S, item.position.S) in left
        ]

    def page(
        self,
        serial: str,
        *,
        limit: int | None,
        newest_first: bool = True,
        type_: str | None = None,
        since: str | None = None,
        until: str | None = None,
        after: str | None = None,
    ) -> Page:
        """One Query of a product's events: at most `limit` items or 1 MB, whichever comes first.

        `since` (inclusive) and `until` (exclusive) are instants as positions begin with them; `after` is
        the position to go on behind.  With `type_` the limit counts what was read, not what matched.
        Raises StorageError.
        """
        names = {"#serial": "serial"}
        values: dict[str, Any] = {":serial": {"S": serial}}
        condition = "#serial = :serial"
        if since is not None or until is not None:
            # A position is an instant and more, so BETWEEN leaves `until` itself out.
            names["#position"] = "position"
            values |= {":since": {"S": since or "0"}, ":until": {"S": until or "9"}}
            condition += " AND #position BETWEEN :since AND :until"
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not newest_first,
        }
        if limit is not None:
            query["Limit"] = limit
        if type_ is not None:
            names["#type"] = "type"
            values[":type"] = {"S": type_}
            query["FilterExpression"] = "#type = :type"
        if after is not None:
            query["ExclusiveStartKey"] = {"serial": {"S": serial}, "position": {"S": after}}
        with translated():
            answer = _answer(self._query(query))
        last = answer.last
        return Page([_from_item(item) for item in answer.items], last.position.S if last else None)


def _from_item(item: Item) -> StoredEvent:
    return StoredEvent(
        serial=item.serial.S,
        type=item.type.S,
        occurred_at=item.occurred_at.S,
        event_id=None if item.event_id is None else item.event_id.S,
        source=None if item.source is None else item.source.S,
        metadata=item.metadata.S,
        position=item.position.S,
        recorded_at_ms=int(item.recorded_at.N),
    )


def _item_bytes(item: Item) -> int:
    size = 0
    for name, value in msgspec.to_builtins(item).items():
        ((kind, text),) = value.items()
        size += len(name) + (_NUMBER_BYTES if kind == "N" else len(text.encode()))
    return size
