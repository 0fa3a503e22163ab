"""MiniStack's Query on a long partition: handed only the stretch of it that the answer can come from.

At every Query it sorts the whole partition and evaluates the key condition on each item: with a history of
100,000 events that takes seconds, and every other request waits.  DynamoDB goes to the place by key.  Here
the partition's sort keys are kept in order, and the Query, which stays MiniStack's own, sees a window of
them.  Nothing changes for indexes, short partitions and conditions of another shape.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from local.emulator.patches.parts import part, replace

#: A partition shorter than this is MiniStack's own business.
LONG = 1_000

#: Items in the window of a Query without a limit: more than fit into its 1 MB, at 128 bytes an item.
WINDOW = 8_192

_CONDITION = re.compile(
    r"\s*\S+\s*=\s*(?P<key>:\w+)(?:\s+AND\s+\S+\s+BETWEEN\s+(?P<low>:\w+)\s+AND\s+(?P<high>:\w+))?\s*",
    re.IGNORECASE,
)

Table = dict[str, Any]
Bucket = dict[str, Any]


class _SortedKeys:
    """The sort keys of long partitions in order, sorted again when a partition has changed."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[Bucket, tuple[int, str], list[str]]] = {}

    def of(self, bucket: Bucket) -> list[str]:
        # A dict keeps the order of insertion, so its length and its last key tell that it has changed.
        state = (len(bucket), next(reversed(bucket)))
        known = self._of.get(id(bucket))
        if known is None or known[0] is not bucket or known[1] != state:
            known = self._of[id(bucket)] = (bucket, state, sorted(bucket))
        return known[2]


def apply(dynamodb: Any) -> None:
    """Have DynamoDB answer Queries on long partitions from a window of them.  Raises PatchError."""
    tables = part(dynamodb, "_tables")
    whole = tables.get
    keys = _SortedKeys()
    windowed: ContextVar[Table | None] = ContextVar("windowed", default=None)

    class Windowed(type(tables)):  # type: ignore[misc]  # MiniStack's own dict, whose slots take no attribute
        __slots__ = ()

        def get(self, name: str, default: Any = None) -> Any:
            return windowed.get() or super().get(name, default)

    @replace(dynamodb, "_query")
    def query_by_key(query: Callable[[Mapping[str, Any]], Any], data: Mapping[str, Any]) -> Any:
        table = whole(data.get("TableName"))
        window = _window(table, data, keys) if isinstance(table, dict) else None
        if window is None:
            return query(data)
        token = windowed.set({**table, "items": window})
        try:
            return query(data)
        finally:
            windowed.reset(token)

    tables.__class__ = Windowed


def _window(table: Table, data: Mapping[str, Any], keys: _SortedKeys) -> dict[str, Bucket] | None:
    """The part of the table that this Query can be answered from; None when it takes the whole."""
    asked = _CONDITION.fullmatch(data.get("KeyConditionExpression") or "")
    values = data.get("ExpressionAttributeValues") or {}
    if asked is None or data.get("IndexName") or not table.get("sk_name"):
        return None
    try:
        key = values[asked["key"]]["S"]
        bucket: Bucket = table["items"][key]
        low, high = (values[asked[end]]["S"] if asked[end] else None for end in ("low", "high"))
        after = (data.get("ExclusiveStartKey") or {}).get(table["sk_name"], {"S": None})["S"]
        wanted = int(data["Limit"]) + 1 if data.get("Limit") else WINDOW
    except (KeyError, TypeError, ValueError):  # what is wrong with it is for MiniStack to say
        return None
    if len(bucket) < LONG:
        return None
    ordered = keys.of(bucket)
    begin = bisect_left(ordered, low) if low is not None else 0
    end = bisect_right(ordered, high) if high is not None else len(ordered)
    if data.get("ScanIndexForward", True):
        begin = max(begin, bisect_right(ordered, after)) if after is not None else begin
        chosen = ordered[begin : min(end, begin + wanted)]
    else:
        end = min(end, bisect_left(ordered, after)) if after is not None else end
        chosen = ordered[max(begin, end - wanted) : end]
    return {key: {position: bucket[position] for position in chosen}}
