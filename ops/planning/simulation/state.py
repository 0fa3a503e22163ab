"""The state of a simulated event source mapping: shards, their lanes, batches and invocations.

`engine.py` makes all decisions.
"""

from dataclasses import dataclass, field

from ops.planning.simulation.capacity_model import Chunk, ChunkQueue, Inlet


@dataclass(slots=True, eq=False)
class Batch:
    """Records for one invocation, or what is left of them."""

    chunks: list[Chunk]
    attempts: int = 0
    count: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = sum(chunk.records for chunk in self.chunks)


@dataclass(slots=True, eq=False)
class Lane:
    """A row of batches of one shard, invoked one at a time."""

    shard: "Shard"
    window_ends: float
    waiting: ChunkQueue = field(default_factory=ChunkQueue)
    batches: list[Batch] = field(default_factory=list)  # to try again, oldest last
    not_before: float = 0.0
    is_busy: bool = False


class Shard:
    """A shard, its reader and its lanes."""

    def __init__(self, inlet: Inlet, lanes: int, window_s: float, next_read_at: float) -> None:
        self.inlet = inlet
        self.stream = ChunkQueue()
        self.lanes = [Lane(self, window_s) for _ in range(lanes)]
        self.held = 0  # read and not done
        self.next_read_at = next_read_at
        self.is_reading = True  # a read is scheduled


@dataclass(slots=True, eq=False)
class Invocation:
    """A batch being worked on."""

    lane: Lane
    batch: Batch
    started_at: float
    deadline: float
    events_left: int  # to write
    attempt: int = 0
