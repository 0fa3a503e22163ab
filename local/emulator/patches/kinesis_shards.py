"""The shards of a stream as MiniStack keeps them, split and merged as Kinesis does it.

The only place that knows how a shard is marked as closed, and which shards take whose place.  A closed one
keeps its records and its range and takes no more; it goes when nothing in it could be read any more.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

Shard = dict[str, Any]
Stream = dict[str, Any]

HASH_KEYS = 2**128  # from 0 on

_END, _CLOSED_AT = "ending_sequence_number", "closed_at"  # beside what MiniStack keeps, and saved with it


class RefusedError(Exception):
    """What Kinesis refuses: its error code, and its words where they are known."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def is_closed(shard: Shard) -> bool:
    """Whether the shard takes no more records."""
    return _END in shard


def end_of(shard: Shard) -> str | None:
    """A sequence number behind the last record that the shard will ever have; None while it is open."""
    return shard.get(_END)


def open_shards(stream: Stream) -> dict[str, Shard]:
    """Those that take records."""
    return {shard_id: shard for shard_id, shard in stream["shards"].items() if not is_closed(shard)}


def parents_of(shard: Shard) -> list[str]:
    """None, one that was split, or two that were merged."""
    return [each for each in (shard["parent_shard_id"], shard["adjacent_parent_shard_id"]) if each]


def equal_ranges(count: int) -> list[tuple[int, int]]:
    """The first and the last hash key of so many shards.

    Half as many have every second boundary in common: going from one to the other touches nothing twice.
    """
    starts = [number * HASH_KEYS // count for number in range(count + 1)]
    return [(start, behind - 1) for start, behind in itertools.pairwise(starts)]


def forget(stream: Stream, now: float) -> None:
    """Drop what was closed longer ago than records are kept: nothing is in it and nothing will be."""
    kept_from = now - stream["RetentionPeriodHours"] * 3600
    if any(shard.get(_CLOSED_AT, now) < kept_from for shard in stream["shards"].values()):
        stream["shards"] = {
            shard_id: shard
            for shard_id, shard in stream["shards"].items()
            if shard.get(_CLOSED_AT, now) >= kept_from
        }


class Resharding:
    """Changes the shards of one stream.  Its methods raise RefusedError."""

    def __init__(
        self, stream: Stream, next_sequence_number: Callable[[], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._next_sequence_number = next_sequence_number
        self._clock = clock
        self._where = f"in stream {stream['StreamName']} under account {stream['StreamARN'].split(':')[4]}"

    def split(self, shard_id: str, at: int) -> None:
        """Two shards for one, the second from this hash key on."""
        start, end = _range(self._open(shard_id))
        if not start + 1 < at < end:
            raise RefusedError(
                "InvalidArgumentException",
                f"NewStartingHashKey {at} used in SplitShard() on shard {shard_id} {self._where} is not both "
                f"greater than one plus the shard's StartingHashKey {start} and less than the shard's "
                f"EndingHashKey {end}.",
            )
        self._replace([shard_id], [(start, at - 1), (at, end)])

    def merge(self, shard_id: str, adjacent_id: str) -> None:
        """One shard for two that lie side by side."""
        lower, upper = sorted((_range(self._open(shard_id)), _range(self._open(adjacent_id))))
        if lower[1] + 1 != upper[0]:
            raise RefusedError(
                "InvalidArgumentException",
                f"Shards {shard_id} and {adjacent_id} {self._where} are not an adjacent pair of shards "
                "eligible for merging",
            )
        self._replace([shard_id, adjacent_id], [(lower[0], upper[1])])

    def check(self, count: int) -> int:
        """How many are open, when it is possible to go from there to `count` in one step."""
        there_are = len(open_shards(self._stream))
        if count > 2 * there_are or 2 * count < there_are:
            way = "up over double" if count > there_are else "down below half"
            raise RefusedError(
                "LimitExceededException",
                f"UpdateShardCount cannot scale {way} your current open shard count. "
                f"Current open shard count: {there_are}, Target shard count: {count}",
            )
        return there_are

    def scale(self, count: int) -> None:
        """So many open shards, of equal ranges.

        Each in turn, as AWS does it (risingwavelabs/risingwave #9961 shows four become three): a shard that
        reaches beyond its range is split where that ends, and what lies in it is merged.
        """
        for start, end in equal_ranges(count):
            holder = self._holding(end)
            low, high = _range(self._stream["shards"][holder])
            if high > end:
                self._replace([holder], [(low, end), (end + 1, high)])
            while (reaches := _range(self._stream["shards"][first := self._holding(start)])[1]) < end:
                self.merge(first, self._holding(reaches + 1))

    def _open(self, shard_id: str) -> Shard:
        shard: Shard | None = self._stream["shards"].get(shard_id)
        if shard is None:
            raise RefusedError("ResourceNotFoundException", f"Could not find shard {shard_id} {self._where}.")
        if is_closed(shard):
            # Seen on AWS: mhart/kinesalite #109.
            raise RefusedError(
                "InvalidArgumentException",
                f"Shard {shard_id} {self._where} has already been merged or split, and thus is not eligible "
                "for merging or splitting.",
            )
        return shard

    def _holding(self, hash_key: int) -> str:
        each_open = open_shards(self._stream).items()
        return next(id_ for id_, shard in each_open if _range(shard)[0] <= hash_key <= _range(shard)[1])

    def _replace(self, parents: list[str], ranges: list[tuple[int, int]]) -> None:
        # A new dict, because MiniStack's own mappings walk through it in a thread.
        shards: dict[str, Shard] = dict(self._stream["shards"])
        for parent in parents:
            shards[parent] = shards[parent] | {_END: self._next_sequence_number(), _CLOSED_AT: self._clock()}
        # The newest shard is always an open one, so no number is ever given twice.
        for number, (start, end) in enumerate(ranges, int(max(shards).rpartition("-")[2]) + 1):
            shards[f"shardId-{number:012d}"] = {
                "records": [],
                "starting_hash_key": str(start),
                "ending_hash_key": str(end),
                "starting_sequence_number": self._next_sequence_number(),
                "parent_shard_id": parents[0],
                "adjacent_parent_shard_id": parents[1] if len(parents) > 1 else None,
            }
        self._stream["shards"] = shards


def _range(shard: Shard) -> tuple[int, int]:
    return int(shard["starting_hash_key"]), int(shard["ending_hash_key"])
