"""Batches of user records out of a GetRecords answer, and how far each of them reaches.

An aggregate larger than a batch begins one and is cut: one of 10 MB can hold five million records, more than
fit into memory, and more than one invocation has time for.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.stream import records
from chalicelib.stream.records import Record

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import RecordTypeDef


class Within(NamedTuple):
    """A place inside one Kinesis record: the first `subs` of its user records are done."""

    sequence_number: str
    subs: int


class Batch(NamedTuple):
    """User records, and the Kinesis records that are done with them and the batches before."""

    records: list[Record]
    read: int  # Kinesis records that end in this batch
    done_to: str | None  # sequence number of the last that has ended so far
    within: Within | None  # where the batch ends, when that is inside the next one


def batches(
    stream: str,
    shard_id: str,
    answered: Iterable["RecordTypeDef"],
    size: int,
    resume: Within | None = None,
) -> Iterator[Batch]:
    """Yield the user records of a GetRecords answer in order, at most `size` at once.

    Leaves out those that `resume` says are done.  The last batch may have none: an aggregate may have none.
    """
    gathered: list[Record] = []
    read, done_to = 0, None
    for each in answered:
        number = each["SequenceNumber"]
        done = resume.subs if resume is not None and int(resume.sequence_number) == int(number) else 0
        begins = len(gathered)
        for record in islice(records.from_get_records(stream, shard_id, [each]), done, None):
            if len(gathered) == size:
                cut = begins or size
                if not begins:
                    done += size
                yield Batch(gathered[:cut], read, done_to, Within(number, done) if done else None)
                gathered, read, begins = gathered[cut:], 0, 0
            gathered.append(record)
        read += 1
        done_to = number
    if read:
        yield Batch(gathered, read, done_to, None)
