"""The state of a simulated event source mapping: shards, their lanes, batches and invocations.

No decisions here: `engine.py` makes them.
"""

from ops.planning.simulation.capacity_model import Chunk, Inlet, Queue


class Part:
    """A batch, or what is left of it."""

    __slots__ = ("attempts", "chunks", "count")

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks = chunks
        self.count = sum(chunk.records for chunk in chunks)
        self.attempts = 0


class Lane:
    """A row of batches of one shard, one at a time."""

    __slots__ = ("is_busy", "not_before", "parts", "shard", "waiting", "window_ends")

    def __init__(self, shard: "Shard", window_ends: float) -> None:
        self.shard = shard
        self.waiting = Queue()
        self.parts: list[Part] = []  # oldest last
        self.is_busy = False
        self.not_before = 0.0
        self.window_ends = window_ends


class Shard:
    """A shard, its reader and its lanes."""

    __slots__ = ("held", "inlet", "is_reading", "lanes", "next_read_at", "stream")

    def __init__(self, inlet: Inlet, lanes: int, window_s: float, next_read_at: float) -> None:
        self.inlet = inlet
        self.stream = Queue()
        self.lanes = [Lane(self, window_s) for _ in range(lanes)]
        self.held = 0  # read and not done
        self.next_read_at = next_read_at
        self.is_reading = True  # a read is scheduled


class Invocation:
    """A batch being worked on."""

    __slots__ = ("attempt", "deadline", "fails", "items_left", "lane", "part", "started_at")

    def __init__(self, lane: Lane, part: Part, started_at: float, deadline: float, fails: bool) -> None:
        self.lane = lane
        self.part = part
        self.started_at = started_at
        self.deadline = deadline
        self.fails = fails
        self.items_left = 0  # events to write
        self.attempt = 0
