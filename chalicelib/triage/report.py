"""What became of a dead letter, by user record."""

import msgspec

from chalicelib.stream.batches import Within
from chalicelib.triage.invocation_record import Pointers


class Tally(msgspec.Struct):
    """The verdicts on the records of a message so far, by user record; and how far that is."""

    done_to: str | None = None  # sequence number
    within: Within | None = None  # how much is done of the Kinesis record behind it, when that has begun
    cases: int = 0  # of that one's user records
    read: int = 0  # Kinesis records
    stored: int = 0
    quarantined: dict[str, int] = {}
    gaps: int = 0

    def expired(self, pointers: Pointers) -> int:
        """Records of the batch that the stream no longer held: at least so many."""
        return max(self.gaps, pointers.batch_size - self.read) if self.gaps else 0


class Report(msgspec.Struct, kw_only=True):
    """What became of one message.  Unless `finished` it has to come back."""

    message_id: str
    pointers: Pointers | None = None  # None when the message is no invocation record
    tally: Tally
    hours_left: float | None = None  # until the stream forgets the records; negative once it has
    seconds: float = 0.0
    finished: bool = False
    because: str = ""  # why it is not finished
    bug: Exception | None = None  # what triage itself raised
