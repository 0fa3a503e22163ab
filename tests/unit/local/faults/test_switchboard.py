"""Faults as they are written and switched, and what they do to the delivery of a batch."""

import random
import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import ConfigurationError
from local.faults import switchboard
from local.faults.switchboard import Faults, Switchboard, combined, fault
from local.sandbox.outcome import Ending, Outcome

DONE = Outcome(Ending.OK, b'{"batchItemFailures": []}', "request")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("throttle=0.2", ("throttle", 0.2)),
        ("timeout=0", ("timeout", 0.0)),
        ("crash=0.01", ("crash", 0.01)),
        ("duplicate=0.05", ("duplicate", 0.05)),
        ("outage=10s", ("outage_s", 10.0)),
        ("outage=500ms", ("outage_s", 0.5)),
        ("outage=1.5m", ("outage_s", 90.0)),
        ("handler-bug=SN%3A1".replace("%3A", ":"), ("handler_bug", "SN:1")),
    ],
)
def test_a_fault_is_a_name_and_a_value(written: str, meant: tuple[str, Any]) -> None:
    assert fault(written) == meant


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("throtle=0.2", "expected NAME=VALUE with one of throttle, timeout, crash, duplicate, outage"),
        ("throttle", "expected NAME=VALUE"),
        ("throttle=1", "throttle: expected a share from 0 to 0.9, got '1'"),
        ("crash=-0.1", "crash: expected a share from 0 to 0.9, got '-0.1'"),
        ("crash=nan", "crash: expected a share from 0 to 0.9, got 'nan'"),
        ("duplicate=often", "duplicate: expected a share from 0 to 0.9, got 'often'"),
        ("outage=10", "outage: expected a duration such as 500ms, 10s or 2m, from 1ms to 60m, got '10'"),
        ("outage=0s", "outage: expected a duration"),
        ("outage=61m", "outage: expected a duration"),
        ("handler-bug=", "handler-bug: expected a product's serial, got ''"),
        ("handler-bug=a b", "handler-bug: expected a product's serial, got 'a b'"),
    ],
)
def test_what_is_no_fault_is_refused_with_what_was_expected(written: str, sentence: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^{re.escape(sentence)}"):
        fault(written)


@given(st.text().filter(lambda text: text.partition("=")[0] not in switchboard.NAMES))
def test_no_text_is_refused_otherwise_than_with_a_sentence(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected"):
        fault(text)


def test_a_fault_said_twice_is_refused_and_products_add_up() -> None:
    assert combined([("handler_bug", "a"), ("crash", 0.1), ("handler_bug", "b")]) == Faults(
        crash=0.1, handler_bug=("a", "b")
    )
    with pytest.raises(ConfigurationError, match="--fault outage is given twice"):
        combined([("outage_s", 1.0), ("outage_s", 2.0)])


def test_every_fault_is_announced_and_no_other() -> None:
    everything = Faults(
        throttle=0.1, timeout=0.1, crash=0.1, duplicate=0.1, outage_s=1, handler_bug=("SN-1",)
    )

    assert len(switchboard.described(everything)) == len(switchboard.NAMES)
    assert switchboard.described(Faults()) == []
    assert "their time-out is 5 s here" in " ".join(switchboard.described(Faults(timeout=0.5)))


def test_an_answer_that_is_lost_makes_the_mapping_deliver_again(tmp_path: Path) -> None:
    board = Switchboard(tmp_path, Faults(duplicate=0.5), seed=1)
    deliver = board.deliver(lambda _: DONE)

    endings = [deliver(b"{}").ending for _ in range(400)]

    lost = endings.count(Ending.UNDELIVERED)
    assert 150 < lost < 250
    assert set(endings) == {Ending.OK, Ending.UNDELIVERED}
    assert board.counts() == {"redelivered": lost}


def test_the_same_seed_loses_the_same_answers(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> list[Ending]:
        deliver = Switchboard(tmp_path / name, Faults(duplicate=0.3), seed=seed).deliver(lambda _: DONE)
        return [deliver(b"{}").ending for _ in range(50)]

    assert run("a", 1) == run("b", 1) != run("c", 2)


def test_what_failed_is_not_called_a_lost_answer(tmp_path: Path) -> None:
    failed = Outcome(Ending.CRASH, b"{}", "request")
    deliver = Switchboard(tmp_path, Faults(duplicate=0.9), seed=1).deliver(lambda _: failed)

    assert {deliver(b"{}") for _ in range(20)} == {failed}


def test_an_outage_begins_once_shortly_after_the_stream_moves(tmp_path: Path) -> None:
    now = [100.0]
    board = Switchboard(tmp_path, Faults(outage_s=10), seed=1, clock=lambda: now[0])
    assert switchboard.read(tmp_path).outage_until == 0

    deliver = board.deliver(lambda _: DONE)
    deliver(b"{}")
    now[0] = 200.0
    deliver(b"{}")

    state = switchboard.read(tmp_path)
    assert (state.outage_from, state.outage_until) == (100.3, 110.3)


def test_workers_count_themselves(tmp_path: Path) -> None:
    assert [switchboard.ordinal(tmp_path) for _ in range(3)] == [1, 2, 3]


def test_a_board_is_never_read_half_written(tmp_path: Path) -> None:
    board = Switchboard(tmp_path, seed=1)
    rng = random.Random(1)

    for _ in range(200):
        wanted = Faults(throttle=rng.random(), handler_bug=("x" * rng.randrange(100),))
        board.switch(wanted)
        assert switchboard.read(tmp_path).faults == wanted
        assert msgspec.json.decode((tmp_path / "board.json").read_bytes())["seed"] == 1
