"""Every page of every history says the same about an event as the whole history does, by brute force.

Histories are drawn by Hypothesis, which makes a failing one small, and in number by a seeded generator: with
HYPOTHESIS_PROFILE=thorough 100,000 of them.
"""

import csv
import io
import json
import os
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api import representations, views
from chalicelib.api.queries import EventsQuery
from chalicelib.domain.events import Event
from chalicelib.errors import ProductNotFoundError
from chalicelib.tables.items import to_item
from chalicelib.tables.markers import marker_of
from tests.support.histories import BOUNDS, NOW, Drawn, drawn_by, history_of
from tests.support.history_oracle import Oracle
from tests.support.in_memory_history import MB, InMemoryHistory

MOMENT = datetime.fromisoformat(NOW.replace("Z", "+00:00"))
HISTORIES = 100_000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 300

#: What a page may be asked for, beside its order and limit.
BOUNDARIES = (
    None,
    "2026-01-01T00:00:00.000000Z",
    "2026-01-01T00:00:00.000001Z",
    "2026-01-02T00:00:00.000000Z",
)


class Situation:
    """A history, what of it the table holds, and what the oracle says of that."""

    def __init__(
        self, made: list[Event], random: Random, page_bytes: int = MB, is_all_there: bool = True
    ) -> None:
        self.random = random
        self.page_bytes = page_bytes
        there = [event for event in made if is_all_there or random.random() < 0.8]
        voids = [event for event in made if event.type == "void"]
        if not is_all_there:
            # A read may see a marker and not yet its void; a void without its marker is not stored yet.
            marked = [event for event in voids if event in there or random.random() < 0.5]
        else:
            marked = voids
        items = [to_item(event, 1790000000123) for event in there]
        self.markers = [marker for event in marked if (marker := marker_of(to_item(event, 0))) is not None]
        self.table = InMemoryHistory([*items, *self.markers], page_bytes)
        self.oracle = Oracle(there, marked, NOW)
        self.in_table_order = sorted(there, key=lambda event: event.position, reverse=True)

    @property
    def is_small(self) -> bool:
        """Whether no Query is cut off by size."""
        return self.page_bytes == MB and sum(len(event.metadata) for event in self.in_table_order) < MB // 2

    @property
    def voids_fit(self) -> bool:
        """Whether one Query holds all markers."""
        sizes = [len(msgspec.json.encode(marker)) for marker in self.markers]
        return sum(sizes) < self.page_bytes

    def reads_more_than_a_walk(self, to: Event | None) -> bool:
        """Whether the events down to this one, or all, and the markers are more than a walk has to read."""
        sizes = [len(msgspec.json.encode(marker)) for marker in self.markers]
        sizes += [
            len(msgspec.json.encode(to_item(event, 1790000000123)))
            for event in self.in_table_order
            if to is None or event.position[:27] >= to.position[:27]
        ]
        return sum(sizes) >= 3 * self.page_bytes


def check(situation: Situation) -> None:
    if not situation.in_table_order:
        with pytest.raises(ProductNotFoundError):
            views.product(situation.table, "SN-1", MOMENT)
        return
    check_product(situation)
    random = situation.random
    for order in ("asc", "desc"):
        limit = random.choice((1, 2, 3, 5, 10, 50, 1000))
        check_pages(situation, EventsQuery(order=order, limit=limit, anomalies=random.random() < 0.7))
    since, until = (random.choice(BOUNDARIES) for _ in range(2))
    if since is not None and until is not None and since > until:
        since, until = until, since
    check_pages(
        situation,
        EventsQuery(
            since=since,
            until=until,
            order=random.choice(("asc", "desc")),
            limit=random.choice((1, 2, 7, 1000)),
            anomalies=random.random() < 0.7,
        ),
    )
    type_ = random.choice(("void", "theft", "note"))
    check_pages(
        situation, EventsQuery(type=type_, since=since, order=random.choice(("asc", "desc")), limit=2)
    )


def check_product(situation: Situation) -> None:
    oracle = situation.oracle
    view = views.product(situation.table, "SN-1", MOMENT)
    told = json.loads(representations.product_json(view, None))
    shown = check_events(situation, told["history"])
    assert shown == situation.in_table_order[: len(shown)]
    is_whole = view.following is None
    length = len(situation.in_table_order)
    assert not is_whole or len(shown) == length
    if situation.is_small:
        assert (is_whole, len(shown)) == (length <= views.NEWEST, min(views.NEWEST, length))
    check_anomalies(situation, shown, told, is_whole)
    if not situation.voids_fit:
        assert (told["status"], told["since"]) == ("undetermined", None)
    elif told["status"] == "undetermined":
        assert situation.reads_more_than_a_walk(oracle.decided_by())
    else:
        assert (told["status"], told["since"]) == oracle.status()
    if is_whole and situation.voids_fit:
        assert told["anomalies_known_after"] is None


def check_pages(situation: Situation, query: EventsQuery) -> None:
    expected = [
        event
        for event in situation.in_table_order
        if (query.type is None or event.type == query.type)
        and (query.since or "") <= event.position < (query.until or "~")
    ]
    shown: list[Event] = []
    for page in pages(situation, query):
        told = json.loads(representations.events_json(page, None, query.anomalies))
        on_page = check_events(situation, told["events"])
        shown += on_page
        check_lines(page, told, query.anomalies)
        if query.anomalies:
            is_whole = query.since is query.until is page.following is None and shown == on_page
            check_anomalies(situation, on_page, told, is_whole)
            if situation.is_small and on_page:
                assert told["anomalies_known_after"] is None
        else:
            assert "anomalies" not in told
    assert shown == (expected if query.order == "desc" else expected[::-1])


def pages(situation: Situation, query: EventsQuery) -> Iterator[views.EventPage]:
    while True:
        page = views.event_page(situation.table, "SN-1", query, MOMENT)
        yield page
        if page.following is None:
            return
        query = msgspec.structs.replace(query, after=page.following)


def check_events(situation: Situation, told: list[dict[str, Any]]) -> list[Event]:
    """Each event is told with what takes it out, and with nothing where nothing does."""
    by_position = {event.position: event for event in situation.in_table_order}
    shown = [by_position[each["position"]] for each in told]
    for each, event in zip(told, shown, strict=True):
        found = (each["voided_by"], each.get("voided_why")) if "voided_by" in each else None
        expected = situation.oracle.voided_by(event) if situation.voids_fit else ("undetermined", None)
        assert found == expected, each
    return shown


def check_anomalies(situation: Situation, shown: list[Event], told: dict[str, Any], is_whole: bool) -> None:
    """What is said to be odd is, and of all events after the one that is named nothing is left out."""
    found = {each["position"]: each["code"] for each in told["anomalies"]}
    assert len(found) == len(told["anomalies"])
    if not situation.voids_fit:
        assert found == {}
    in_order = [event for event in situation.oracle.history if event in shown]
    is_known = told["anomalies_known_after"] is None
    for event in in_order:
        anomaly = situation.oracle.anomaly(event, is_whole)
        if is_known or event.position in found:
            assert found.get(event.position) == anomaly, event
        is_known = is_known or event.position == told["anomalies_known_after"]
    assert is_known


def check_lines(page: views.EventPage, told: dict[str, Any], anomalies: bool) -> None:
    """NDJSON and CSV say of each event what JSON says."""
    lines = [json.loads(line) for line in representations.events_ndjson(page, anomalies).splitlines()]
    rows = list(csv.DictReader(io.StringIO(representations.events_csv(page, anomalies), newline="")))
    odd = {each["position"]: each for each in told.get("anomalies", ())}
    for event, line, row in zip(told["events"], lines, rows, strict=True):
        for name in ("voided_by", "voided_why"):
            assert line.get(name) == event.get(name)
            assert row[name] == (event.get(name) or "")
        assert ("anomaly" in line) == ("anomaly" in row) == anomalies
        if anomalies and line["anomaly"] != "undetermined":
            expected = odd.get(event["position"], {"code": None, "message": None})
            assert (line["anomaly"], line["anomaly_message"]) == (expected["code"], expected["message"])
            assert (row["anomaly"], row["anomaly_message"]) == (
                expected["code"] or "",
                expected["message"] or "",
            )


drawn = st.lists(st.builds(Drawn, *(st.integers(0, bound - 1) for bound in BOUNDS)), min_size=1, max_size=12)


@given(drawn, st.integers(0, 2**32), st.sampled_from([MB, MB, 2_000, 600]), st.booleans())
def test_every_page_says_of_an_event_what_the_whole_history_says(
    drawn: list[Drawn], seed: int, page_bytes: int, is_all_there: bool
) -> None:
    check(Situation(history_of(drawn), Random(seed), page_bytes, is_all_there))


def test_so_do_the_pages_of_histories_in_number() -> None:
    for seed in range(HISTORIES):
        random = Random(seed)
        count = random.randrange(45, 120) if random.random() < 0.1 else random.randrange(1, 16)
        page_bytes = random.choice((MB, MB, MB, 4_000, 1_500, 500))
        try:
            check(Situation(history_of(drawn_by(random, count)), random, page_bytes, random.random() < 0.7))
        except Exception as exc:
            raise AssertionError(f"the history of seed {seed}") from exc


def test_so_do_the_pages_of_three_megabytes() -> None:
    for seed in range(3):
        random = Random(seed)
        history = history_of(drawn_by(random, 70), filler="x" * 60_000)
        check(Situation(history, random))
