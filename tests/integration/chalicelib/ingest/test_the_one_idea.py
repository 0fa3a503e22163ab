"""The same set of accepted events gives the same table, markers of voids included, however they arrive."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import boto3
from chalice.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.domain.voids import of_event
from chalicelib.tables.items import to_item
from tests.support.lambda_events import batch, wire

Way = list[
    tuple[list[int], bool]
]  # batches of indices into the events, and whether a worker dies on it first

NAMED = events.decode(wire("A", "theft")).position

event = st.fixed_dictionaries(
    {
        "serial": st.sampled_from(["A", "B"]),
        "type": st.sampled_from(["production", "note", "theft"]),
        "occurred_at": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z", "2026-01-01T01:00:00+01:00"]
        ),
        "metadata": st.sampled_from([None, {}, {"a": 1}, {"a": 1.5, "b": []}]),
    },
    optional={"event_id": st.sampled_from(["1", "2"])},
)
void = st.fixed_dictionaries(
    {
        "serial": st.sampled_from(["A", "B"]),
        "type": st.just("void"),
        "occurred_at": st.sampled_from(["2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]),
        "metadata": st.sampled_from(
            [{"position": NAMED}, {"event_id": "1"}, {"event_id": "1", "why": "twice"}, {"position": "?"}, {}]
        ),
    },
)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[bytes], Way, Way]:
    """Some events, some invalid, and two ways in which each arrives at least once."""
    data = draw(
        st.lists(
            (event | void).map(lambda fields: wire(**fields)) | st.just(b"not json"), min_size=1, max_size=60
        )
    )

    def way() -> Way:
        indices = list(range(len(data))) + draw(st.lists(st.integers(0, len(data) - 1), max_size=20))
        indices = draw(st.permutations(indices))
        cuts = sorted(draw(st.sets(st.integers(1, len(indices)), max_size=4)) | {0, len(indices)})
        return [(indices[start:end], draw(st.booleans())) for start, end in pairwise(cuts)]

    return data, way(), way()


def test_any_multiset_order_and_split_of_the_same_events_leaves_the_same_table(module_stage: str) -> None:
    from app import app

    table = boto3.resource("dynamodb").Table(f"lifecycle-{module_stage}-history")

    def left_by(client: Client, data: list[bytes], way: Way) -> dict[tuple[str, str], dict[str, Any]]:
        """What the table holds after the events arrived this way, `recorded_at` aside; then it is empty."""
        for indices, dies in way:
            if dies:
                without_markers(data[index] for index in indices)
            client.lambda_.invoke("process_lifecycle", batch(data[index] for index in indices))
        items = table.scan(ConsistentRead=True)["Items"]
        with table.batch_writer() as writer:
            for item in items:
                writer.delete_item(Key={"serial": item["serial"], "position": item["position"]})
        for item in items:
            item.pop("recorded_at", None)
        return {(item["serial"], item["position"]): item for item in items}

    @settings(max_examples=100)
    @given(arrivals())
    def same_table(drawn: tuple[list[bytes], Way, Way]) -> None:
        data, one, other = drawn
        with Client(app, stage_name="test") as client:
            first = left_by(client, data, one)
            assert left_by(client, data, other) == first
        sent = {event.position + event.serial: event for each in data if (event := decoded(each))}
        marked = [event for event in sent.values() if of_event(event) is not None]
        assert len(first) == len(sent) + len(marked)

    same_table()


def without_markers(sent: Iterable[bytes]) -> None:
    """What a worker leaves that dies between the events and the markers of a batch."""
    found = {(event.serial, event.position): event for each in sent if (event := decoded(each))}
    items = [to_item(event, 1) for event in found.values()]
    for start in range(0, len(items), 25):
        wiring.history().write(items[start : start + 25], Deadline(60))


def decoded(data: bytes) -> events.Event | None:
    return events.decode(data) if data != b"not json" else None
