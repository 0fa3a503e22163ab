"""The item that holds an event, in DynamoDB's JSON, and how large it may be."""

import msgspec

from chalicelib.domain.events import Event
from chalicelib.errors import RefusedItemError

#: The largest item DynamoDB keeps: names and values, in UTF-8 bytes (DynamoDB developer guide, "Limits").
MAX_ITEM_BYTES = 400 * 1024

#: At least this much a number takes.  Too little on purpose: what is near the limit DynamoDB decides.
_NUMBER_BYTES = 1


class Text(msgspec.Struct, frozen=True, gc=False):
    """A string."""

    S: str


class Number(msgspec.Struct, frozen=True, gc=False):
    """A number, as text."""

    N: str


class Item(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The item that holds an event.

    A struct and not a dict of dicts: a tenth of the memory, and nothing for the garbage collector.
    """

    serial: Text
    position: Text
    type: Text
    occurred_at: Text
    metadata: Text
    recorded_at: Number
    event_id: Text | None = None
    source: Text | None = None


def to_item(event: Event, recorded_at_ms: int) -> Item:
    """The item that holds an event.

    Raises RefusedItemError when it is larger than any item can be, without asking DynamoDB: 25 such items
    would break the request's own limit and take their neighbours with them.
    """
    item = Item(
        serial=Text(event.serial),
        position=Text(event.position),
        type=Text(event.type),
        occurred_at=Text(event.occurred_at),
        metadata=Text(event.metadata),
        recorded_at=Number(str(recorded_at_ms)),
        event_id=None if event.event_id is None else Text(event.event_id),
        source=None if event.source is None else Text(event.source),
    )
    if (len(event.metadata) + len(event.occurred_at)) * 4 > MAX_ITEM_BYTES // 2:
        size = _item_bytes(item)
        if size > MAX_ITEM_BYTES:
            raise RefusedItemError(
                "too_large", f"the item would have {size} bytes, DynamoDB keeps {MAX_ITEM_BYTES}"
            )
    return item


def _item_bytes(item: Item) -> int:
    size = 0
    for name, value in msgspec.to_builtins(item).items():
        ((kind, text),) = value.items()
        size += len(name) + (_NUMBER_BYTES if kind == "N" else len(text.encode()))
    return size
