"""What has become of the entries of a run."""

from collections import Counter
from typing import NamedTuple

from producer.entry import Entry


class Rejected(NamedTuple):
    """An entry that was finally refused, and why."""

    entry: Entry
    reason: str


class Report:
    """What has become of the entries so far; `send` returns it, and `Putter.report` has it on the way."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.accepted = {"event": 0, "duplicate": 0, "poison": 0}  # by kind
        self.unknown_types: Counter[str] = Counter()  # of events accepted
        self.retried = 0  # entries sent again, counted each time
        self.rejected: list[Rejected] = []
        self.unsent: list[Entry] = []  # taken from the input and not accepted when the run was cut short
        self.requests = 0
        self.shards: set[str] = set()
        self.seconds = 0.0

    @property
    def sent(self) -> int:
        """Entries that the stream has accepted."""
        return sum(self.accepted.values())
