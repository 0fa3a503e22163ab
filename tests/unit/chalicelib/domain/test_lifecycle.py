"""What a history says: status, anomalies, voids."""

import json
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import events, lifecycle
from tests.support.lambda_events import wire

NOW = "2026-06-01T00:00:00.000000Z"


def event(type: str, at: str = "2026-01-01T00:00:00Z", **metadata: object) -> events.Event:
    return events.decode(wire(type=type, occurred_at=at, metadata=metadata))


def day(number: int) -> str:
    return f"2026-01-{number:02d}T00:00:00Z"


def life(*types: str) -> list[events.Event]:
    """One event a day, newest first as the table gives them."""
    return [event(type, day(number)) for number, type in enumerate(types, start=1)][::-1]


def status(newest_first: list[events.Event]) -> tuple[str, str | None]:
    found = lifecycle.determine_status(newest_first, NOW)
    return found.status, found.since


def in_table_order(*history: events.Event) -> list[events.Event]:
    return sorted(history, key=lambda each: each.position, reverse=True)


def odd(newest_first: list[events.Event], before: events.Event | None = None) -> list[tuple[str, str]]:
    found = lifecycle.read(newest_first, before, NOW).anomalies
    return [(anomaly.type, anomaly.code) for anomaly in found]


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


def test_a_history_without_a_status_is_unknown() -> None:
    assert status(life("note", "repainting")) == ("unknown", None)
    assert status([]) == ("unknown", None)


def test_the_walk_stops_at_its_first_answer() -> None:
    def newest_first():  # type: ignore[no-untyped-def]
        yield from life("production", "retirement")
        pytest.fail("read further than the answer")

    assert lifecycle.determine_status(newest_first(), NOW).status == "retired"


@pytest.mark.parametrize("order", list(permutations(["production", "serialization", "theft", "void"])))
def test_at_one_instant_the_lifecycles_own_order_decides(order: tuple[str, ...]) -> None:
    history = in_table_order(*(event(type) for type in order))

    assert status(history)[0] == "stolen"


def test_digits_beyond_the_microsecond_order_events_of_one_microsecond() -> None:
    later = event("production", "2026-01-01T00:00:00.0000009Z")
    earlier = event("theft", "2026-01-01T00:00:00.00000088+00:00")

    assert status(in_table_order(later, earlier))[0] == "produced"


def test_an_event_from_the_future_is_odd_and_decides_nothing_until_its_time_comes() -> None:
    history = in_table_order(event("theft", "2026-06-01T00:00:00.000001Z"), *life("production", "inventory"))

    assert status(history)[0] == "in_inventory"
    assert odd(history) == [("theft", "future")]
    assert lifecycle.determine_status(history, "2026-06-01T00:00:00.000001Z").status == "stolen"


def test_a_void_takes_its_event_out_and_both_stay_visible() -> None:
    theft = event("theft", day(3))
    void = event("void", day(4), position=theft.position)
    history = in_table_order(void, theft, *life("production", "inventory"))

    assert status(history) == ("in_inventory", day(2))
    assert lifecycle.read(history, None, NOW).voided_by == {theft.position: void.position}
    assert odd(history) == []


def test_a_void_of_a_void_brings_the_event_back() -> None:
    theft = event("theft", day(3))
    void = event("void", day(4), position=theft.position)
    undo = event("void", day(5), position=void.position)
    history = in_table_order(undo, void, theft, *life("production", "inventory"))

    assert status(history) == ("stolen", day(3))
    assert lifecycle.read(history, None, NOW).voided_by == {void.position: undo.position}


def test_a_void_at_its_events_own_instant_counts() -> None:
    theft = event("theft", day(3))
    history = in_table_order(theft, event("void", day(3), position=theft.position), *life("production"))

    assert status(history)[0] == "produced"


def test_a_void_dated_before_its_event_has_no_effect_and_is_odd() -> None:
    theft = event("theft", day(4))
    history = in_table_order(
        theft, event("void", day(3), position=theft.position), *life("production", "inventory")
    )

    assert status(history)[0] == "stolen"
    assert odd(history) == [("void", "void_names_later")]


def test_a_future_void_takes_nothing_out_yet() -> None:
    theft = event("theft", day(3))
    history = in_table_order(event("void", "2026-07-01T00:00:00Z", position=theft.position), theft)

    assert status(history)[0] == "stolen"


@pytest.mark.parametrize("named", [{}, {"position": 7}, {"position": "yesterday"}, {"position": None}])
def test_a_void_that_names_no_event_is_odd(named: dict[str, object]) -> None:
    history = in_table_order(event("void", day(3), **named), *life("production"))

    assert odd(history) == [("void", "void_names_nothing")]


def test_a_void_of_an_event_that_the_whole_history_does_not_hold_is_odd() -> None:
    elsewhere = event("theft", day(2), product="another")
    voids = [event("void", day(number), position=elsewhere.position) for number in (3, 4)]
    history = in_table_order(*voids, *life("production"))

    assert odd(history) == [("void", "void_names_missing"), ("void", "void_names_missing")]
    assert lifecycle.read(history, None, NOW).voided_by == {}


def test_where_older_events_are_not_shown_a_void_may_name_one_of_them() -> None:
    theft, before = event("theft", day(2)), event("note", day(3))
    void = event("void", day(4), position=theft.position)

    assert odd([void], before) == []
    assert lifecycle.read([void], before, NOW).voided_by == {theft.position: void.position}


@pytest.mark.parametrize("number", ["1e400", "-1e999999", "1" * 5000], ids=["big", "small", "long"])
def test_a_void_may_hold_numbers_that_no_float_can(number: str) -> None:
    def holding(at: str, **metadata: object) -> events.Event:
        sent = wire(type="void", occurred_at=at, metadata=metadata)
        return events.decode(sent.replace(b'"number"', number.encode()))

    theft = event("theft", day(3))
    history = in_table_order(
        holding(day(5), position="number"),
        holding(day(4), position=theft.position, loss="number"),
        theft,
        *life("production"),
    )

    assert status(history) == ("produced", day(1))
    assert odd(history) == [("void", "void_names_nothing")]


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
    found = lifecycle.read(life(*types), None, NOW).anomalies

    assert [anomaly.message for anomaly in found] == anomalies


def test_the_event_before_those_shown_is_the_context_of_the_oldest() -> None:
    newest, *_, before = life("theft", "service")

    assert odd([newest], before) == [("service", "unexpected_order")]


def test_without_a_status_before_the_oldest_shown_nothing_is_claimed_about_it() -> None:
    newest, *_, before = life("note", "service")

    assert odd([newest], before) == []


def test_an_event_taken_out_is_neither_odd_nor_a_reason_to_be() -> None:
    retirement = event("retirement", day(2))
    history = in_table_order(
        event("service", day(3)),
        event("void", day(4), position=retirement.position),
        retirement,
        *life("dealer_registration"),
    )

    assert odd(history) == [("dealer_registration", "unexpected_order")]


known = st.sampled_from([*lifecycle.KINDS, "repainting"])


@given(st.lists(st.tuples(known, st.integers(1, 4), st.integers(0, 3)), max_size=12), st.data())
def test_lazy_and_whole_readings_agree_with_a_fold_from_the_beginning(
    drawn: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    history = [event(type, day(number), n=n) for type, number, n in drawn if type != "void"]
    for type, number, n in drawn:
        if type == "void" and history:
            named = data.draw(st.sampled_from(history))
            history.append(event("void", day(number), n=n, position=named.position))

    oldest_first = sorted({each.position: each for each in history}.values(), key=lifecycle.order)
    taken_out: set[str] = set()
    for each in reversed(oldest_first):
        if each.type == "void" and each.position not in taken_out:
            named_position = json.loads(each.metadata)["position"]
            named_event = next(other for other in history if other.position == named_position)
            if lifecycle.order(named_event) < lifecycle.order(each):
                taken_out.add(named_position)
    expected = "unknown"
    for each in oldest_first:
        gives = lifecycle.KINDS[each.type].gives if each.type in lifecycle.KINDS else None
        if each.position not in taken_out and gives is not None:
            expected = gives

    newest_first = in_table_order(*{each.position: each for each in history}.values())
    assert status(newest_first)[0] == expected
    assert set(lifecycle.read(newest_first, None, NOW).voided_by) == taken_out


def test_every_status_that_may_be_followed_is_given_by_some_type() -> None:
    given_statuses = {kind.gives for kind in lifecycle.KINDS.values() if kind.gives} | {lifecycle.NOTHING}
    followed = {status for kind in lifecycle.KINDS.values() for status in kind.follows or ()}

    assert followed <= given_statuses
    assert msgspec.json.encode(list(lifecycle.KINDS))  # the table is data
