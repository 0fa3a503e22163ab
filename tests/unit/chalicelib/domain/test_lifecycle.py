"""What a history says: status and anomalies.  What voids take out is in test_voids.py."""

from collections.abc import Iterator, Sequence
from itertools import permutations

import msgspec
import pytest

from chalicelib.domain import events, lifecycle
from chalicelib.domain.voids import Voids
from tests.support import whole_history
from tests.support.lambda_events import wire
from tests.support.whole_history import microseconds, voids_of

NOW = "2026-06-01T00:00:00.000000Z"


def event(type: str, at: str = "2026-01-01T00:00:00Z", **metadata: object) -> events.Event:
    return events.decode(wire(type=type, occurred_at=at, metadata=metadata))


def day(number: int) -> str:
    return f"2026-01-{number:02d}T00:00:00Z"


def life(*types: str) -> list[events.Event]:
    """One event a day, newest first as the table gives them."""
    return [event(type, day(number)) for number, type in enumerate(types, start=1)][::-1]


def status(history: Sequence[events.Event], now: str = NOW) -> tuple[str, str | None] | None:
    return whole_history.status(history, now)


def in_table_order(*history: events.Event) -> list[events.Event]:
    return whole_history.in_table_order(history)


def read(
    shown: Sequence[events.Event],
    around: Sequence[events.Event] | None = None,
    *,
    from_first: bool = True,
    to_last: bool = True,
    is_whole: bool = False,
) -> lifecycle.Reading:
    return lifecycle.read(
        shown,
        around or shown,
        voids_of(around or shown, NOW),
        from_first=from_first,
        to_last=to_last,
        is_whole=is_whole,
    )


def odd(newest_first: list[events.Event], is_whole: bool = True) -> list[tuple[str, str]]:
    return [(each.type, each.code) for each in read(newest_first, is_whole=is_whole).anomalies]


@pytest.mark.parametrize(
    ("type_", "gives"),
    [
        ("production", "produced"),
        ("serialization", "serialized"),
        ("inventory", "in_inventory"),
        ("dealer_registration", "registered"),
        ("theft", "stolen"),
        ("recovery", "recovered"),
        ("refabrication", "refabricated"),
        ("retirement", "retired"),
    ],
)
def test_the_newest_event_that_gives_a_status_decides(type_: str, gives: str) -> None:
    assert status(life("production", type_, "service", "note", "warranty", "repainting")) == (gives, day(2))


def test_events_that_give_no_status_give_no_answer() -> None:
    assert status(life("note", "repainting")) is None
    assert status([]) is None


def test_the_walk_stops_at_its_first_answer() -> None:
    def newest_first() -> Iterator[list[events.Event]]:
        yield from microseconds(life("production", "retirement"))
        pytest.fail("read further than the answer")

    found = lifecycle.determine_status(newest_first(), Voids(NOW))

    assert found is not None
    assert found.status == "retired"


@pytest.mark.parametrize("order", list(permutations(["production", "serialization", "theft", "void"])))
def test_at_one_instant_the_lifecycles_own_order_decides(order: tuple[str, ...]) -> None:
    history = in_table_order(*(event(type) for type in order))

    assert status(history) == ("stolen", "2026-01-01T00:00:00Z")


def test_digits_beyond_the_microsecond_order_events_of_one_microsecond() -> None:
    later = event("production", "2026-01-01T00:00:00.0000009Z")
    earlier = event("theft", "2026-01-01T00:00:00.00000088+00:00")

    assert status(in_table_order(later, earlier)) == ("produced", later.occurred_at)


def test_an_event_from_the_future_is_odd_and_decides_nothing_until_its_time_comes() -> None:
    history = in_table_order(event("theft", "2026-06-01T00:00:00.000001Z"), *life("production", "inventory"))

    assert status(history) == ("in_inventory", day(2))
    assert odd(history) == [("theft", "future")]
    assert status(history, "2026-06-01T00:00:00.000001Z") == ("stolen", history[0].occurred_at)


def test_an_event_that_is_taken_out_decides_nothing() -> None:
    theft = event("theft", day(3))
    void = event("void", day(4), position=theft.position)
    history = in_table_order(void, theft, *life("production", "inventory"))

    assert status(history) == ("in_inventory", day(2))
    assert odd(history) == []


@pytest.mark.parametrize(
    "named",
    [{}, {"position": 7}, {"position": "yesterday"}, {"position": None}, {"event_id": ""}, {"event_id": 7}],
)
def test_a_void_that_names_no_event_is_odd(named: dict[str, object]) -> None:
    history = in_table_order(event("void", day(3), **named), *life("production"))

    assert odd(history) == [("void", "void_names_nothing")]


@pytest.mark.parametrize("by", ["position", "event_id"])
def test_a_void_of_an_event_that_the_whole_history_does_not_hold_is_odd(by: str) -> None:
    elsewhere = event("theft", day(2), product="another")
    named = {"position": elsewhere.position} if by == "position" else {"event_id": "e-1"}
    voids = [event("void", day(number), **named) for number in (3, 4)]
    history = in_table_order(*voids, *life("production"))

    assert odd(history) == [("void", "void_names_missing"), ("void", "void_names_missing")]
    assert read(history).voided == {}
    assert odd(history, is_whole=False) == [], "it may be further back"


def test_a_void_of_an_id_that_only_voids_have_names_an_event_that_is_not_there() -> None:
    void = events.decode(wire(type="void", event_id="e-1", occurred_at=day(3), metadata={"event_id": "e-1"}))

    assert odd(in_table_order(void, *life("production"))) == [("void", "void_names_missing")]


def test_an_event_from_the_future_that_is_taken_out_is_not_odd_any_more() -> None:
    theft = event("theft", "2026-07-01T00:00:00Z")
    void = event("void", day(2), position=theft.position)

    assert odd(in_table_order(theft, void, *life("production"))) == []


@pytest.mark.parametrize(
    ("types", "anomalies"),
    [
        (("production", "serialization", "inventory", "dealer_registration", "service", "warranty"), []),
        (
            (
                "production",
                "inventory",
                "theft",
                "recovery",
                "dealer_registration",
                "refabrication",
                "inventory",
            ),
            [],
        ),
        (("production", "retirement", "service"), ["service while retired"]),
        (("production", "inventory", "theft", "dealer_registration"), ["dealer_registration while stolen"]),
        (
            ("inventory", "production"),
            ["production while in_inventory", "inventory before any event that gives a status"],
        ),
        (("production", "recovery"), ["recovery while produced"]),
        (("note", "production", "repainting"), []),
    ],
)
def test_what_may_not_follow_is_shown_as_odd(types: tuple[str, ...], anomalies: list[str]) -> None:
    assert [anomaly.message for anomaly in read(life(*types)).anomalies] == anomalies


def test_a_status_before_the_events_shown_is_their_context() -> None:
    newest, *older = life("note", "theft", "note", "service")

    reading = read([newest], [newest, *older], from_first=False)

    assert [(each.type, each.code) for each in reading.anomalies] == [("service", "unexpected_order")]
    assert (reading.undetermined, reading.known_after) == (frozenset(), None)


def test_without_a_status_before_the_events_shown_it_is_said_after_which_event_anomalies_are_known() -> None:
    history = life("note", "theft", "service", "recovery", "service")

    reading = read(history[:3], history[:3], from_first=False)

    recovery, service = history[1], history[2]
    assert reading.anomalies == []
    assert reading.undetermined == {recovery.position, service.position}
    assert reading.known_after == recovery.position


def test_of_a_microsecond_that_is_not_read_whole_nothing_is_claimed() -> None:
    theft, service = event("theft", day(1)), event("service", day(2))
    history = [service, theft]

    assert read(history, from_first=False).undetermined == {service.position, theft.position}
    assert read(history, to_last=False).undetermined == {service.position}
    assert [each.position for each in read(history, to_last=False).anomalies] == [theft.position]


def test_an_event_taken_out_is_neither_odd_nor_a_reason_to_be() -> None:
    retirement = event("retirement", day(2))
    history = in_table_order(
        event("service", day(3)),
        event("void", day(4), position=retirement.position),
        retirement,
        *life("dealer_registration"),
    )

    assert odd(history) == [("dealer_registration", "unexpected_order")]


def test_where_not_all_voids_are_known_nothing_is_said_to_be_taken_out_or_odd() -> None:
    history = life("production", "theft", "service")

    reading = lifecycle.read(
        history, history, Voids(NOW, are_all=False), from_first=True, to_last=True, is_whole=True
    )

    assert (reading.voided, reading.voids_are_known, reading.anomalies) == ({}, False, [])
    assert reading.undetermined == {each.position for each in history}
    assert reading.known_after == history[0].position


def test_every_status_that_may_be_followed_is_given_by_some_type() -> None:
    given_statuses = {kind.gives for kind in lifecycle.KINDS.values() if kind.gives} | {lifecycle.NOTHING}
    followed = {status for kind in lifecycle.KINDS.values() for status in kind.follows or ()}

    assert followed <= given_statuses
    assert msgspec.json.encode(list(lifecycle.KINDS))  # the table is data
