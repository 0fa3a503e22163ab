"""The poison pills of one batch, and which of them share a case.

A megabyte of an aggregate holds 524,271 records of nothing, and no invocation has time for a case of each.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from chalicelib.errors import InvalidAggregateError, RecordError
from chalicelib.stream import kpl
from chalicelib.stream.records import Record, UserRecord

#: Records of aggregates that get a case each, in one batch.  An aggregate with one more is one case, whole.
MAX_INDIVIDUAL_CASES = 1000

Pill = tuple[Record, RecordError]


class PoisonPills:
    """Collects records that cannot be stored; iterates over what gets a case each."""

    def __init__(self, cases: Mapping[str, int]) -> None:
        """`cases` holds what `count_cases` has counted in earlier batches, which may share an aggregate."""
        self._cases = cases
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
        aggregate, id_ = record.aggregate, record.aggregate.id
        earlier = self._cases.get(id_, 0)
        if id_ in self._whole or earlier > MAX_INDIVIDUAL_CASES:
            return
        if self._count_individual + earlier < MAX_INDIVIDUAL_CASES:
            self._count_individual += 1
            self._individual.setdefault(id_, []).append((record, error))
            return
        # The aggregate's case replaces those of its records: they would fill the memory, and it holds them.
        self._count_individual -= len(self._individual.pop(id_, ()))
        sentence = (
            f"with this aggregate's, more than {MAX_INDIVIDUAL_CASES} records of aggregates in one batch "
            f"cannot be stored: {error}"
        )
        self._whole[id_] = (aggregate, InvalidAggregateError(sentence))


def count_cases(cases: dict[str, int], quarantined: Iterable[Pill]) -> None:
    """Add up the cases of each aggregate's records; of an aggregate that has a case itself, too many."""
    for record, _ in quarantined:
        if isinstance(record, UserRecord):
            id_ = record.aggregate.id
            cases[id_] = cases.get(id_, 0) + 1
        elif kpl.is_aggregate(record.data):
            cases[record.id] = MAX_INDIVIDUAL_CASES + 1
