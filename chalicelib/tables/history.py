"""The history table: a product's events, sorted by when they happened.

The only module that knows its attributes and keys.  A product's history is a grow-only set and an event's
key is its content, so a write needs no condition and no read: writing the same event again writes the same
item, and two different events never share a key.  Behind the events of a product stand the markers of its
voids (markers.py); a Query of events ends before them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.deadline import Deadline
from chalicelib.domain.events import Event
from chalicelib.domain.voids import Void
from chalicelib.errors import RefusedItemError, StorageError
from chalicelib.raw_call import RawCall
from chalicelib.tables import markers
from chalicelib.tables.errors import translated
from chalicelib.tables.items import Item, Number, Text
from chalicelib.tables.markers import Marker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: Items in one BatchWriteItem (DynamoDB API reference).  At 400 KB an item they stay below its 16 MB.
MAX_BATCH_ITEMS = 25


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


class Marked(msgspec.Struct, frozen=True, gc=False):
    """The voids that a product has markers of; `are_all` is False where one Query does not hold them."""

    voids: list[Void]
    are_all: bool


class Written(msgspec.Struct, gc=False):
    """What became of the items of one write, by index into what was given."""

    unfinished: list[int]
    refused: list[tuple[int, RefusedItemError]]
    throttled_requests: int = 0
    last_error: StorageError | None = None


class _Key(msgspec.Struct, gc=False):
    position: Text


_NO_TEXT = Text("")


class _Row(msgspec.Struct, gc=False):
    """An item as a Query gives it: an event, or what stands behind the events."""

    serial: Text
    position: Text
    type: Text = _NO_TEXT
    occurred_at: Text = _NO_TEXT
    metadata: Text = _NO_TEXT
    recorded_at: Number = Number("0")
    event_id: Text | None = None
    source: Text | None = None
    names: Text | None = None
    why: Text | None = None


class _Answer(msgspec.Struct, gc=False):
    items: list[_Row] = msgspec.field(name="Items")
    last: _Key | None = msgspec.field(name="LastEvaluatedKey", default=None)


_answer = msgspec.json.Decoder(_Answer).decode


class _PutRequest(msgspec.Struct, gc=False):
    Item: dict[str, Any]


class _WriteRequest(msgspec.Struct, gc=False):
    PutRequest: _PutRequest


class _BatchAnswer(msgspec.Struct, gc=False):
    UnprocessedItems: dict[str, list[_WriteRequest]] = {}


_batch_answer = msgspec.json.Decoder(_BatchAnswer).decode


class History:
    """The history table behind a low-level DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = table
        self._batch_write = RawCall(client, "BatchWriteItem", {"RequestItems": {}})
        self._query = RawCall(client, "Query", {"TableName": table})

    def write(self, items: Sequence[Item | Marker], deadline: Deadline) -> Written:
        """Write up to 25 items with different keys, trying until the deadline.

        What DynamoDB leaves unprocessed is sent again; an item it refuses is found by halving and the rest
        goes on.  Never raises StorageError: what it could not finish is in the answer, with the reason.
        """
        written = Written(unfinished=[], refused=[])
        self._write(items, list(range(len(items))), deadline, written)
        return written

    def _write(
        self, items: Sequence[Item | Marker], pending: list[int], deadline: Deadline, written: Written
    ) -> None:
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

    def _put(self, items: Sequence[Item | Marker], indices: list[int]) -> list[int]:
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

    def newest(self, serial: str, limit: int) -> tuple[Page, Marked]:
        """The newest `limit` events of a product, and its voids.  Raises StorageError.

        One Query where the product has no voids, because markers would come first in it; otherwise one more
        for the events whose places markers have taken, and one for markers where they have taken all.
        """
        rows, last = self._ask(serial, limit, newest_first=True)
        page = Page([_from_row(row) for row in rows if not markers.is_behind(row.position.S)], last)
        marked = Marked(_marked(rows), are_all=True)
        taken = len(rows) - len(page.events)
        if not taken or last is None:
            return page, marked
        if not page.events:
            return self.page(serial, limit=limit), self.voids(serial)
        if len(rows) < limit:  # cut off at 1 MB
            return page, marked
        rest = self.page(serial, limit=taken, after=last)
        return Page(page.events + rest.events, rest.last_read), marked

    def voids(self, serial: str) -> Marked:
        """A product's voids, from one Query of its markers.  Raises StorageError."""
        rows, last = self._ask(serial, None, within=(markers.BEHIND, markers.BEHIND_ALL))
        return Marked(_marked(rows), are_all=last is None)

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
        # A position is an instant and more, so BETWEEN leaves `until` itself out.
        within = (since or "0", until or markers.BEHIND)
        rows, last = self._ask(
            serial, limit, newest_first=newest_first, within=within, type_=type_, after=after
        )
        return Page([_from_row(row) for row in rows], last)

    def _ask(
        self,
        serial: str,
        limit: int | None,
        *,
        newest_first: bool = False,
        within: tuple[str, str] | None = None,
        type_: str | None = None,
        after: str | None = None,
    ) -> tuple[list[_Row], str | None]:
        """The items of one Query, and the position to go on behind; None when there are no more."""
        names = {"#serial": "serial"}
        values: dict[str, Any] = {":serial": {"S": serial}}
        condition = "#serial = :serial"
        if within is not None:
            names["#position"] = "position"
            values |= {":first": {"S": within[0]}, ":last": {"S": within[1]}}
            condition += " AND #position BETWEEN :first AND :last"
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
        return answer.items, answer.last.position.S if answer.last else None


def _marked(rows: Sequence[_Row]) -> list[Void]:
    found = (markers.marked_void(row.position.S, row.names, row.why) for row in rows)
    return [void for void in found if void is not None]


def _from_row(row: _Row) -> StoredEvent:
    return StoredEvent(
        serial=row.serial.S,
        type=row.type.S,
        occurred_at=row.occurred_at.S,
        event_id=None if row.event_id is None else row.event_id.S,
        source=None if row.source is None else row.source.S,
        metadata=row.metadata.S,
        position=row.position.S,
        recorded_at_ms=int(row.recorded_at.N),
    )
