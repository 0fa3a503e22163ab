"""Batches of user records: complete, bounded, and resumed wherever one ends."""

import tracemalloc
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stream import records
from chalicelib.stream.batches import Batch, Within, batches
from tests.support.aggregates import aggregated, dense, field, packed

plain = st.binary(max_size=3)
pages = st.lists(plain | st.lists(plain, max_size=7).map(lambda data: aggregated(*data)), max_size=6)


def answered(data: list[bytes]) -> list[Any]:
    """The records of a GetRecords answer, numbered from 100 with a leading zero."""
    return [
        {
            "SequenceNumber": f"0{number}",
            "PartitionKey": "k",
            "ApproximateArrivalTimestamp": datetime.fromtimestamp(1790000000, timezone.utc),
            "Data": each,
        }
        for number, each in enumerate(data, start=100)
    ]


def of_page(page: list[bytes], size: int, resume: Within | None = None) -> list[Batch]:
    return list(batches("s", "shardId-0", answered(page), size, resume))


@given(pages, st.integers(1, 5))
def test_together_they_hold_every_user_record_in_order(page: list[bytes], size: int) -> None:
    found = of_page(page, size)

    together = [record for batch in found for record in batch.records]
    assert together == list(records.from_get_records("s", "shardId-0", answered(page)))
    assert all(len(batch.records) <= size for batch in found)
    assert sum(batch.read for batch in found) == len(page)
    assert not page or (found[-1].done_to, found[-1].within) == (f"0{99 + len(page)}", None)


@given(pages)
def test_an_aggregate_that_fits_into_a_batch_is_not_cut(page: list[bytes]) -> None:
    found = of_page(page, 7)

    assert [batch.within for batch in found] == [None] * len(found)
    assert sum(batch.read for batch in found) == len(page)


def test_an_aggregate_larger_than_a_batch_begins_one() -> None:
    found = of_page([b"x", b"y", aggregated(*[b"1"] * 12), b"z"], 5)

    assert [[record.data for record in batch.records] for batch in found] == [
        [b"x", b"y"],
        [b"1"] * 5,
        [b"1"] * 5,
        [b"1", b"1", b"z"],
    ]
    assert [(batch.read, batch.done_to, batch.within) for batch in found] == [
        (2, "0101", None),
        (0, "0101", ("0102", 5)),
        (0, "0101", ("0102", 10)),
        (2, "0103", None),
    ]


@given(pages, st.integers(1, 5), st.data())
def test_reading_that_resumes_where_a_batch_ends_gives_the_rest(
    page: list[bytes], size: int, data: st.DataObject
) -> None:
    whole = of_page(page, size)
    if not whole:
        return
    stop = data.draw(st.integers(1, len(whole)))
    last = whole[stop - 1]

    # Reading goes on at the record that was begun, or behind the last that is done.
    done = -1 if last.done_to is None else int(last.done_to) - 100
    at = done + 1 if last.within is None else int(last.within.sequence_number) - 100
    rest = list(batches("s", "shardId-0", answered(page)[at:], size, last.within))

    assert [record for batch in rest for record in batch.records] == [
        record for batch in whole[stop:] for record in batch.records
    ]
    assert sum(batch.read for batch in rest) == sum(batch.read for batch in whole[stop:])


def test_a_place_in_a_record_that_is_gone_leaves_nothing_of_the_others_out() -> None:
    (batch,) = of_page([aggregated(b"1", b"2")], 10, Within("099", 1))

    assert [record.data for record in batch.records] == [b"1", b"2"]


def test_an_aggregate_of_nothing_is_read_and_done() -> None:
    (batch,) = of_page([packed(field(1, b"k"))], 10)

    assert batch == Batch([], 1, "0100", None)


def test_a_page_of_dense_aggregates_is_never_held() -> None:
    page = [dense(b"", 100_000)] * 20  # a million records
    tracemalloc.start()
    try:
        for batch in islice(batches("s", "shardId-0", answered(page), 2_000), 30):
            assert len(batch.records) <= 2_000
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < 3_000_000
