"""The poison pills of one batch, and which of them share a case.

A megabyte of an aggregate holds 524,271 empty records, and no invocation has time for a case of each.
"""

from collections.abc import Iterator
from itertools import chain

from chalicelib.errors import RecordError
from chalicelib.stream.records import Record, UserRecord

#: Records of aggregates that get a case each, in one batch.  An aggregate with one more is one case, whole.
MAX_INDIVIDUAL_CASES = 1000

Pill = tuple[Record, RecordError]


class PoisonPills:
    """Collects records that cannot be stored; iterates over what gets a case each."""

    def __init__(self) -> None:
        self._plain: list[Pill] = []
        self._individual: dict[str, list[Pill]] = {}  # records of aggregates, by the aggregate's id
        self._count_individual = 0
        self._whole: dict[str, Pill] = {}  # aggregates, by id

    def __iter__(self) -> Iterator[Pill]:
        return chain(self._plain, *self._individual.values(), self._whole.values())

    def add(self, record: Record, error: RecordError) -> None:
        """Add a record that fails with `error` on every delivery."""
        if not isinstance(record, UserRecord):
            self._plain.append((record, error))
            return
        aggregate = record.aggregate
        if aggregate.id in self._whole:
            return
        if self._count_individual < MAX_INDIVIDUAL_CASES:
            self._count_individual += 1
            self._individual.setdefault(aggregate.id, []).append((record, error))
            return
        # The aggregate's case replaces those of its records: they would fill the memory, and it holds them.
        self._count_individual -= len(self._individual.pop(aggregate.id, ()))
        sentence = (
            f"with this aggregate's, more than {MAX_INDIVIDUAL_CASES} records of aggregates in one batch "
            f"cannot be stored: {error}"
        )
        self._whole[aggregate.id] = (aggregate, RecordError("invalid_aggregate", sentence))
