"""Threads of one interpreter stay on one core; everybody else's go where they could before."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import cpu_affinity, wiring
from chalicelib.ingest.writers import Writers
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread be kept on a core")


@pytest.fixture
def cores() -> set[int]:
    available = os.sched_getaffinity(0)
    if len(available) == 1:
        pytest.skip("this machine has one core")
    return available


def of_each_thread(pool: ThreadPoolExecutor | Writers, threads: int) -> list[set[int]]:
    together = threading.Barrier(threads)

    def mine() -> set[int]:
        together.wait(timeout=PATIENCE_S)  # so that each thread has one of the tasks
        return os.sched_getaffinity(0)

    asked = [pool.submit(mine) for _ in range(threads)]
    return [each.result() for each in asked]


def test_all_writers_share_one_core_and_the_thread_that_decodes_goes_where_it_likes(
    monkeypatch: pytest.MonkeyPatch, cores: set[int]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
    wiring.reset()
    answered = of_each_thread(wiring.writers(), 4)
    wiring.reset()

    assert answered == [answered[0]] * 4
    assert len(answered[0]) == 1
    assert os.sched_getaffinity(0) == cores


def test_who_decodes_stays_with_the_writers_for_as_long_as_that_takes(cores: set[int]) -> None:
    with cpu_affinity.staying(wiring.core()):
        here = os.sched_getaffinity(0)
        with ThreadPoolExecutor(1, initializer=cpu_affinity.stay, initargs=(wiring.core(),)) as pool:
            assert of_each_thread(pool, 1) == [here]

    assert len(here) == 1
    assert os.sched_getaffinity(0) == cores


def test_threads_started_while_staying_stay_and_the_caller_goes_free_again(cores: set[int]) -> None:
    with ThreadPoolExecutor(3) as pool, cpu_affinity.staying():
        answered = of_each_thread(pool, 3)
        here = os.sched_getaffinity(0)

    assert len(here) == 1
    assert answered == [here] * 3
    assert os.sched_getaffinity(0) == cores


@pytest.mark.parametrize("call", ["sched_setaffinity", "sched_getaffinity"])
def test_where_the_operating_system_forbids_it_work_goes_on(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr(os, call, forbidden)
    with cpu_affinity.staying():
        pool = ThreadPoolExecutor(1, initializer=cpu_affinity.stay, initargs=(cpu_affinity.drawn(),))
        with pool:
            assert pool.submit(int, "7").result() == 7


def test_processes_with_the_same_number_do_not_all_meet_on_one_core(
    monkeypatch: pytest.MonkeyPatch, cores: set[int]
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as in a container

    assert {cpu_affinity.drawn() for _ in range(200)} == {frozenset({core}) for core in cores}
