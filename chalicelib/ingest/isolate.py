"""Ingest with the failing record isolated: for records that no event source mapping bisects any more.

Triage, replay and redrive use it.
"""

import traceback
from collections.abc import Sequence

from chalicelib.deadline import Deadline
from chalicelib.errors import LifecycleError, StorageError
from chalicelib.ingest import batch as ingest
from chalicelib.ingest.poison import MAX_INDIVIDUAL_CASES, count_cases
from chalicelib.ingest.writers import Writers
from chalicelib.stream.records import Record
from chalicelib.tables.history import History
from chalicelib.tables.quarantine import Quarantine

#: Records to isolate at once, at most: more than get a case each, so that an aggregate of which nothing can
#: be stored is one case.
BATCH = 2 * MAX_INDIVIDUAL_CASES


def isolate(
    batch: Sequence[Record],
    history: History,
    quarantine: Quarantine,
    deadline: Deadline,
    writers: Writers,
    cases: dict[str, int],
) -> tuple[int, dict[str, int]]:
    """Give every record a verdict: how many were stored, and how many quarantined by reason.

    A record on which ingest raises is quarantined as `handler_error` with the traceback.  `cases` holds the
    cases of each aggregate in the batches before, and afterwards in this one too.  Raises StorageError when
    time runs out for some of them; running them again is harmless.
    """
    try:
        outcome = ingest.ingest(batch, history, quarantine, deadline, writers, cases)
    except LifecycleError:
        raise  # a missing setting, say: no record's fault
    except Exception:  # whatever a bug of ours raises on some record; the others must not wait for its fix
        if len(batch) == 1:
            case = ingest.case_of(batch[0], "handler_error", traceback.format_exc())
            if not quarantine.put_patiently(case, deadline):
                raise StorageError("time ran out before the record was in quarantine") from None
            return 0, {"handler_error": 1}
        stored, counts = 0, dict[str, int]()
        middle = len(batch) // 2  # as Lambda bisects: a few runs, and not one for each record
        for half in (batch[:middle], batch[middle:]):
            kept, quarantined = isolate(half, history, quarantine, deadline, writers, cases)
            stored += kept
            for reason, count in quarantined.items():
                counts[reason] = counts.get(reason, 0) + count
        return stored, counts
    if outcome.unfinished:
        raise StorageError(
            f"{len(outcome.unfinished)} of {outcome.records} records unfinished: "
            f"{outcome.last_error or 'time ran out'}"
        )
    count_cases(cases, outcome.quarantined)
    counts = {}
    for _, error in outcome.quarantined:
        counts[error.reason] = counts.get(error.reason, 0) + 1
    return outcome.stored + outcome.duplicates, counts
