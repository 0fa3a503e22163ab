"""Input that arrives while we run."""

import threading
from collections.abc import Iterator

import pytest

from producer.entry import Entry
from producer.live import polled
from tests.support.waiting import PATIENCE_S

ENTRY = Entry(b"{}", "SN-1")


def test_entries_come_in_order_and_the_end_is_the_end() -> None:
    entries = [Entry(b"%d" % number, "SN-1") for number in range(5000)]

    assert [entry for entry in polled(entries) if entry is not None] == entries


def test_a_pause_of_the_input_is_told() -> None:
    go_on = threading.Event()

    def input() -> Iterator[Entry]:
        yield ENTRY
        go_on.wait(PATIENCE_S)
        yield ENTRY

    arriving = polled(input(), patience_s=0.01)

    assert next(arriving) == ENTRY
    assert next(arriving) is None
    go_on.set()
    assert [entry for entry in arriving if entry is not None] == [ENTRY]


def test_an_error_while_reading_is_raised_to_the_reader() -> None:
    def input() -> Iterator[Entry]:
        yield ENTRY
        raise OSError("the disk is gone")

    arriving = polled(input())

    with pytest.raises(OSError, match="the disk is gone"):
        list(arriving)
