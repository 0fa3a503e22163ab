"""The history table in memory: Queries as DynamoDB answers them, with a page size of one's own."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import msgspec

from chalicelib.tables.history import History, _Row
from chalicelib.tables.items import Item
from chalicelib.tables.markers import Marker

#: A Query stops here (DynamoDB API reference, "Query").
MB = 1024 * 1024


class InMemoryHistory(History):
    """Answers from the items it is given; `page_bytes` is where a Query stops."""

    def __init__(self, items: Iterable[Item | Marker], page_bytes: int = MB) -> None:
        encoded = sorted((item.position.S, msgspec.json.encode(item)) for item in items)
        self._positions = [position for position, _ in encoded]
        self._rows = [msgspec.json.decode(data, type=_Row) for _, data in encoded]
        self._sizes = [len(data) for _, data in encoded]
        self._page_bytes = page_bytes
        self.queries = 0

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
        self.queries += 1
        first, end = 0, len(self._rows)
        if within is not None:
            first, end = bisect_left(self._positions, within[0]), bisect_right(self._positions, within[1])
        if after is not None:
            assert within is None or within[0] <= after <= within[1], "DynamoDB refuses such a starting key"
            if newest_first:
                end = min(end, bisect_left(self._positions, after))
            else:
                first = max(first, bisect_right(self._positions, after))
        indices = range(end - 1, first - 1, -1) if newest_first else range(first, end)
        read, size = 0, 0
        for index in indices:
            read += 1
            size += self._sizes[index]
            if read == limit or size >= self._page_bytes:
                break
        rows = [self._rows[index] for index in indices[:read]]
        # Like DynamoDB it says that there may be more where a limit has ended it, even if there is not.
        ended = bool(read) and (read == limit or size >= self._page_bytes)
        last = self._positions[indices[read - 1]] if ended else None
        return [row for row in rows if type_ is None or type_ == row.type.S], last
