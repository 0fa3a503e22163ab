"""Entries that wait for a request, and which of them may go next.

PutRecords keeps no order inside a request once an entry of it is refused.  So with order a request holds one
entry of a partition key, and the next of that key goes out after its predecessor was accepted; without,
requests are filled whatever their keys.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Sequence

from producer.entry import Entry, size_of
from producer.limits import MAX_RECORDS, READ_AHEAD, READ_AHEAD_BYTES


class Item:
    """An entry on its way: how often it was tried, and its size as PutRecords counts it."""

    __slots__ = ("attempts", "bytes", "entry")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.attempts = 0
        self.bytes = size_of(entry)


class Waiting:
    """The items that are not done with, save those under way.

    An item that left with a request comes back by one of the `put_…`, or is released.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._ready: deque[Item] = deque()
        # With order: each key that has an item ready, under way or refused, and the items behind that one.
        self._behind: dict[str, deque[Item]] = {}
        self._count_behind = 0
        self._refused: list[tuple[float, int, Item]] = []  # heap: when to try again, in which order
        self._tickets = itertools.count()
        self._bytes = 0  # those under way included

    @property
    def has_room(self) -> bool:
        """Whether to read on.  A stream that refuses much is not given more."""
        return (
            len(self._ready) < MAX_RECORDS
            and len(self._ready) + self._count_behind < READ_AHEAD
            and len(self._refused) < MAX_RECORDS
            and self._bytes < READ_AHEAD_BYTES
        )

    @property
    def is_ready(self) -> bool:
        """Whether anything may go now."""
        return bool(self._ready)

    @property
    def fills_a_request(self) -> bool:
        """Whether as much may go now as a request holds."""
        return len(self._ready) >= MAX_RECORDS

    @property
    def holds_any(self) -> bool:
        """Whether anything may go now or later, without an answer to what is under way."""
        return bool(self._ready or self._refused)

    @property
    def next_due(self) -> float | None:
        """When the next of the refused items may be tried again."""
        return self._refused[0][0] if self._refused else None

    def add(self, item: Item) -> None:
        """One more, behind those of its key."""
        self._bytes += item.bytes
        key = item.entry.partition_key
        if not self._ordered:
            self._ready.append(item)
        elif key in self._behind:
            self._behind[key].append(item)
            self._count_behind += 1
        else:
            self._behind[key] = deque()
            self._ready.append(item)

    def request(self, max_bytes: int) -> list[Item]:
        """Take out what goes with the next request: one item at least, if any is ready."""
        items: list[Item] = []
        size = 0
        while self._ready and len(items) < MAX_RECORDS:
            size += self._ready[0].bytes
            if items and size > max_bytes:
                break
            items.append(self._ready.popleft())
        return items

    def put_first(self, items: Sequence[Item]) -> None:
        """These go next, in their order."""
        self._ready.extendleft(reversed(items))

    def put_last(self, items: Sequence[Item]) -> None:
        """These go after what is ready."""
        self._ready.extend(items)

    def put_later(self, item: Item, due: float) -> None:
        """It was refused, and may be tried again from then on."""
        heapq.heappush(self._refused, (due, next(self._tickets), item))

    def bring_back(self, now: float) -> None:
        """What was refused and has come due goes before what has not been tried."""
        while self._refused and self._refused[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._refused)[2])

    def release(self, item: Item) -> None:
        """The item is done with: the next one of its key may go."""
        self._bytes -= item.bytes
        key = item.entry.partition_key
        behind = self._behind.get(key)
        if behind:
            self._ready.append(behind.popleft())
            self._count_behind -= 1
        else:
            self._behind.pop(key, None)

    def left(self) -> list[Item]:
        """Everything that was not released."""
        refused = (item for _, _, item in self._refused)
        return [*self._ready, *refused, *itertools.chain.from_iterable(self._behind.values())]
