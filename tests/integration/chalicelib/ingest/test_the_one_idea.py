"""The same set of accepted events gives the same table, however they arrive."""

from itertools import pairwise
from typing import Any

import boto3
from chalice.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lambda_events import batch, wire

Way = list[list[int]]  # batches of indices into the events

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


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[bytes], Way, Way]:
    """Some events, some invalid, and two ways in which each arrives at least once."""
    data = draw(
        st.lists(event.map(lambda fields: wire(**fields)) | st.just(b"not json"), min_size=1, max_size=60)
    )

    def way() -> Way:
        indices = list(range(len(data))) + draw(st.lists(st.integers(0, len(data) - 1), max_size=20))
        indices = draw(st.permutations(indices))
        cuts = sorted(draw(st.sets(st.integers(1, len(indices)), max_size=4)) | {0, len(indices)})
        return [indices[start:end] for start, end in pairwise(cuts)]

    return data, way(), way()


def test_any_multiset_order_and_split_of_the_same_events_leaves_the_same_table(module_stage: str) -> None:
    from app import app

    table = boto3.resource("dynamodb").Table(f"lifecycle-{module_stage}-history")

    def left_by(client: Client, data: list[bytes], way: Way) -> dict[tuple[str, str], dict[str, Any]]:
        """What the table holds after the events arrived this way, `recorded_at` aside; then it is empty."""
        for indices in way:
            client.lambda_.invoke("process_lifecycle", batch(data[index] for index in indices))
        items = table.scan(ConsistentRead=True)["Items"]
        with table.batch_writer() as writer:
            for item in items:
                writer.delete_item(Key={"serial": item["serial"], "position": item["position"]})
        for item in items:
            del item["recorded_at"]
        return {(item["serial"], item["position"]): item for item in items}

    @settings(max_examples=100)
    @given(arrivals())
    def same_table(drawn: tuple[list[bytes], Way, Way]) -> None:
        data, one, other = drawn
        with Client(app, stage_name="test") as client:
            first = left_by(client, data, one)
            assert left_by(client, data, other) == first
        assert len(first) == len({position(each) for each in data if each != b"not json"})

    same_table()


def position(data: bytes) -> tuple[str, str]:
    from chalicelib.domain import events

    decoded = events.decode(data)
    return decoded.serial, decoded.position
