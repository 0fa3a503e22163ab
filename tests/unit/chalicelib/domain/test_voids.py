"""What voids take out, in which order they come into force, and what they say of themselves."""

import time

import pytest

from chalicelib.domain import events
from chalicelib.domain.events import Event
from chalicelib.domain.voids import MAX_WHY, Void, Voids, of_event
from tests.support.lambda_events import wire

NOW = "2026-06-01T00:00:00.000000Z"
FUTURE = "2026-07-01T00:00:00Z"


def day(number: int) -> str:
    return f"2026-01-{number:02d}T00:00:00Z"


def event(type: str, at: str, id_: str | None = None, /, **metadata: object) -> Event:
    return events.decode(wire(type=type, occurred_at=at, event_id=id_, metadata=metadata))


def taken_out(*history: Event, now: str = NOW) -> dict[str, str]:
    """By the position of an event that is taken out, the position of the void."""
    voids = Voids(now, [void for each in history if (void := of_event(each)) is not None])
    found = ((each.position, voids.voiding(each)) for each in history)
    return {position: voiding.by for position, voiding in found if voiding is not None}


def test_a_void_takes_out_the_event_at_the_position_that_it_names() -> None:
    theft, other = event("theft", day(3)), event("theft", day(3), n=2)
    void = event("void", day(4), position=theft.position)

    assert taken_out(void, theft, other) == {theft.position: void.position}


def test_a_void_takes_out_every_event_with_the_id_that_it_names_but_no_void() -> None:
    one, two, other = (event("theft", day(n), id_) for n, id_ in ((1, "e-1"), (2, "e-1"), (3, "e-2")))
    same_id = event("void", day(4), "e-1", position=other.position)
    void = event("void", day(5), "e-1", event_id="e-1")

    assert taken_out(void, same_id, one, two, other) == {
        one.position: void.position,
        two.position: void.position,
        other.position: same_id.position,
    }


def test_where_a_void_names_a_position_its_event_id_says_nothing() -> None:
    one, two = event("theft", day(1), "e-1"), event("theft", day(2))
    void = event("void", day(3), position=two.position, event_id="e-1")
    wrong = event("void", day(3), position="yesterday", event_id="e-1")

    assert taken_out(void, wrong, one, two) == {two.position: void.position}


def test_an_event_id_that_looks_like_a_position_is_none() -> None:
    theft = event("theft", day(1))
    other = event("theft", day(2), theft.position)
    void = event("void", day(3), event_id=theft.position)

    assert taken_out(void, theft, other) == {other.position: void.position}


def test_a_void_of_a_void_brings_the_event_back() -> None:
    theft = event("theft", day(3))
    void = event("void", day(4), position=theft.position)
    undo = event("void", day(5), position=void.position)

    assert taken_out(undo, void, theft) == {void.position: undo.position}


@pytest.mark.parametrize("at", [day(1), day(3), day(5), FUTURE])
def test_a_void_counts_whatever_the_date_of_the_event_that_it_names(at: str) -> None:
    theft = event("theft", at)
    void = event("void", day(3), position=theft.position)

    assert taken_out(void, theft) == {theft.position: void.position}


@pytest.mark.parametrize("n", range(20))
def test_at_one_instant_a_void_is_in_force_before_what_it_names(n: int) -> None:
    """Whatever the digests are."""
    theft = event("theft", day(3), n=n)
    void = event("void", day(3), position=theft.position, n=n)
    undo = event("void", day(3), position=void.position, n=n)

    assert taken_out(theft, void) == {theft.position: void.position}
    assert taken_out(theft, void, undo) == {void.position: undo.position}


def test_a_void_takes_nothing_out_before_its_time_comes() -> None:
    theft = event("theft", day(3))
    void = event("void", FUTURE, position=theft.position)

    assert taken_out(void, theft) == {}
    assert taken_out(void, theft, now="2026-07-01T00:00:00.000000Z") == {theft.position: void.position}


def test_a_void_that_will_be_taken_out_counts_until_then() -> None:
    theft = event("theft", day(3))
    void = event("void", day(4), position=theft.position)
    undo = event("void", FUTURE, position=void.position)

    assert taken_out(undo, void, theft) == {theft.position: void.position}


def test_of_several_voids_the_last_one_is_named() -> None:
    theft = event("theft", day(3), "e-1")
    voids = [
        event("void", day(4), position=theft.position),
        event("void", day(6), event_id="e-1"),
        event("void", day(5), position=theft.position),
    ]

    assert taken_out(*voids, theft) == {theft.position: voids[1].position}


def test_a_long_chain_of_voids_costs_no_more_than_a_wide_one() -> None:
    first = event("theft", day(1))
    chain = [Void(f"2026-01-02T00:00:00.{n:06d}Z#{n:032x}", "") for n in range(50_000)]
    named = [first.position, *(void.position for void in chain)]
    chain = [Void(void.position, f"position:{named[n]}") for n, void in enumerate(chain)]
    wide = [Void(void.position, f"position:{first.position}") for void in chain]

    def seconds(voids: list[Void]) -> float:
        started = time.process_time()
        assert (Voids(NOW, voids).voiding(first) is None) == (voids is chain)  # an even number of them
        return time.process_time() - started

    assert min(seconds(chain) for _ in range(3)) < 5 * min(seconds(wide) for _ in range(3)) + 0.2


def test_markers_that_somebody_has_forged_into_a_ring_take_nothing_out() -> None:
    one, two = (f"2026-01-0{n}T00:00:00.000000Z#{n:032x}" for n in (1, 2))
    theft = event("theft", day(3))
    ring = [Void(one, f"position:{two}"), Void(two, f"position:{one}")]

    assert Voids(NOW, ring).voiding(theft) is None


def test_voids_without_a_marker_count_once_they_are_read() -> None:
    theft = event("theft", day(3))
    void = event("void", day(4), position=theft.position)
    voids = Voids(NOW)

    voids.add([theft])
    assert voids.voiding(theft) is None
    voids.add([void])
    voiding = voids.voiding(theft)

    assert voiding is not None
    assert voiding.by == void.position


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({}, None),
        ({"why": "entered twice"}, "entered twice"),
        ({"reason": "did_not_occur"}, "did_not_occur"),
        ({"why": "entered twice", "reason": "did_not_occur"}, "entered twice"),
        ({"why": "", "reason": "did_not_occur"}, "did_not_occur"),
        ({"why": 7}, None),
        ({"why": ["x"], "reason": None}, None),
        ({"why": "é" * 1000}, "é" * MAX_WHY),
    ],
)
def test_a_voids_reason_is_what_its_metadata_says(metadata: dict[str, object], why: str | None) -> None:
    void = of_event(event("void", day(1), event_id="e-1", **metadata))

    assert void is not None
    assert void.why == why


@pytest.mark.parametrize("number", ["1e400", "-1e999999", "1" * 5000], ids=["big", "small", "long"])
def test_a_void_may_hold_numbers_that_no_float_can(number: str) -> None:
    def holding(**metadata: object) -> Event:
        sent = wire(type="void", occurred_at=day(4), metadata=metadata)
        return events.decode(sent.replace(b'"number"', number.encode()))

    theft = event("theft", day(3))

    assert of_event(holding(position="number")) is None
    assert taken_out(holding(position=theft.position, loss="number", why="number"), theft) != {}
