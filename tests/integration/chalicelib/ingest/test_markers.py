"""A void and its marker: both are in the table, or the record counts as unfinished."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.domain import events
from tests.support import faults
from tests.support.dead_letters import Stream
from tests.support.ingest_tables import Tables
from tests.support.lambda_events import batch, sequence_numbers, wire
from tests.support.triage import NOTHING_LEFT, run

POSITION = "2026-01-01T00:00:00.000000Z#" + "0" * 32


@pytest.fixture
def tables(stage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    tables = Tables()
    yield tables
    tables.client.close()


def void(n: int = 0, serial: str = "SN-1", **named: object) -> bytes:
    metadata = named or {"position": POSITION}
    return wire(serial, "void", f"2026-01-02T00:00:{n:02d}Z", metadata=metadata)


def notes(count: int) -> list[bytes]:
    return [wire("SN-1", "note", metadata={"n": n}) for n in range(count)]


def items() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = boto3.resource("dynamodb").Table(settings.history_table()).scan()["Items"]
    return found


def markers() -> list[dict[str, Any]]:
    return sorted(
        (item for item in items() if item["position"].startswith("~")), key=lambda item: str(item["position"])
    )


def voids() -> set[str]:
    return {item["position"] for item in items() if item.get("type") == "void"}


def written(requests: list[dict[str, Any]]) -> list[list[str]]:
    """The positions that each BatchWriteItem put."""
    return [
        [put["PutRequest"]["Item"]["position"]["S"] for put in puts]
        for request in requests
        for puts in request["RequestItems"].values()
    ]


def about(requests: list[dict[str, Any]], of_markers: bool) -> int:
    """How many requests are about markers, or about events."""
    return sum(positions[0].startswith("~") == of_markers for positions in written(requests))


@pytest.mark.parametrize(
    ("metadata", "marked"),
    [
        ({"position": POSITION}, {"names": f"position:{POSITION}"}),
        ({"event_id": "e-1"}, {"names": "event_id:e-1"}),
        ({"event_id": POSITION}, {"names": f"event_id:{POSITION}"}),
        ({"event_id": "e-1", "why": "é" * 300}, {"names": "event_id:e-1", "why": "é" * 200}),
        ({"event_id": "e-1", "reason": "did_not_occur"}, {"names": "event_id:e-1", "why": "did_not_occur"}),
    ],
)
def test_a_marker_says_what_its_void_names_and_why(
    tables: Tables, metadata: dict[str, object], marked: dict[str, str]
) -> None:
    event = events.decode(void(**metadata))

    outcome = tables.ingest(batch([void(**metadata)]))

    assert (outcome.stored, outcome.types) == (1, {"void": 1})
    assert markers() == [{"serial": "SN-1", "position": f"~void#{event.position}", **marked}]
    assert wiring.history().voids("SN-1").voids[0].position == event.position


def test_a_void_that_names_nothing_has_no_marker(tables: Tables) -> None:
    outcome = tables.ingest(batch([void(position="yesterday", event_id="e-1"), void(1, why="?")]))

    assert (outcome.stored, len(voids()), markers()) == (2, 2, [])


def test_a_marker_is_written_after_its_void(tables: Tables) -> None:
    seen = faults.on(tables.client, "BatchWriteItem", lambda _: None)

    tables.ingest(batch([*notes(30), void(), *notes(60)[30:]]))

    in_order = [position for positions in written(seen) for position in positions]
    (event,) = voids()
    assert in_order.index(event) < in_order.index(f"~void#{event}") == len(in_order) - 1


def test_a_batch_without_voids_makes_no_request_more_and_one_with_some_makes_one_for_25(
    tables: Tables,
) -> None:
    seen = faults.on(tables.client, "BatchWriteItem", lambda _: None)

    tables.ingest(batch(notes(100)))
    assert (about(seen, of_markers=False), about(seen, of_markers=True)) == (4, 0)

    tables.ingest(batch([*notes(70), *(void(n) for n in range(30))]))
    assert (about(seen, of_markers=False), about(seen, of_markers=True)) == (4 + 4, 2)
    assert {len(positions) for positions in written(seen)} <= {25, 5}


def test_voids_by_the_thousand_are_marked_and_held_in_memory_only_so_far(tables: Tables) -> None:
    data = [
        wire("SN-1", "void", "2026-01-02T00:00:00Z", metadata={"event_id": "e", "n": n}) for n in range(3000)
    ]

    outcome = tables.ingest(batch(data), seconds=600)

    assert (outcome.stored, outcome.unfinished) == (3000, [])
    assert len(markers()) == 3000


def test_a_refused_void_leaves_no_marker(tables: Tables) -> None:
    def refuse(body: dict[str, Any]) -> Any:
        ((_, puts),) = body["RequestItems"].items()
        refused = any(put["PutRequest"]["Item"]["metadata"]["S"].startswith('{"event_id"') for put in puts)
        return faults.error("ValidationException", "Item size has exceeded the maximum") if refused else None

    faults.on(tables.client, "BatchWriteItem", refuse)

    outcome = tables.ingest(batch([void(event_id="e-1"), *notes(3)]))

    assert (outcome.stored, [error.reason for _, error in outcome.quarantined]) == (3, ["refused"])
    assert (voids(), markers()) == (set(), [])


def refuse_markers(body: dict[str, Any]) -> Any:
    ((_, puts),) = body["RequestItems"].items()
    if any(put["PutRequest"]["Item"]["position"]["S"].startswith("~") for put in puts):
        return faults.error("InternalServerError", status=500)
    return None


def test_a_void_whose_marker_is_not_written_is_unfinished_and_its_redelivery_completes_it(
    tables: Tables,
) -> None:
    faults.on(tables.client, "BatchWriteItem", refuse_markers)
    event = batch([*notes(3), void(), *notes(6)[3:]])

    outcome = tables.ingest(event)

    assert (outcome.stored, outcome.types) == (6, {"note": 6})
    assert outcome.earliest_unfinished().sequence_number == sequence_numbers(event)[3]  # type: ignore[union-attr]
    assert (len(voids()), markers()) == (1, [])

    tables.client = boto3.client("dynamodb")
    outcome = tables.ingest(event)

    assert (outcome.stored, outcome.unfinished, len(markers())) == (7, [], 1)


def test_a_throttled_marker_is_written_once_there_is_room(tables: Tables) -> None:
    left = [3]

    def throttle(body: dict[str, Any]) -> Any:
        if refuse_markers(body) is None or not left[0]:
            return None
        left[0] -= 1
        return faults.error("ProvisionedThroughputExceededException")

    faults.on(tables.client, "BatchWriteItem", throttle)

    outcome = tables.ingest(batch([void()]))

    assert (outcome.stored, outcome.throttled_requests, len(markers())) == (1, 3, 1)


def test_the_same_voids_in_any_order_leave_the_same_markers(tables: Tables) -> None:
    data = [void(n, event_id=f"e-{n}", why=f"{n}") for n in range(10)]

    tables.ingest(batch(data))
    once = markers()
    tables.ingest(batch([*data[::-1], *data]))

    assert markers() == once
    assert len(once) == 10


def test_triage_marks_the_voids_that_it_stores(listening: Client, stream: Stream) -> None:
    numbers = stream.put([*notes(2), void()])

    assert run(listening, stream.dead_letter(numbers)) == NOTHING_LEFT

    assert [marker["names"] for marker in markers()] == [f"position:{POSITION}"]


def test_readers_pass_over_what_stands_behind_the_events(listening: Client) -> None:
    """A tombstone, say, before code that writes one is deployed."""
    listening.lambda_.invoke("process_lifecycle", batch([*notes(60), void()]))
    table = boto3.resource("dynamodb").Table(settings.history_table())
    for position in ("~erased", "~void#", "~zzz", "~void"):
        table.put_item(Item={"serial": "SN-1", "position": position, "why": "asked for"})

    story = listening.http.get("/products/SN-1").json_body
    pages = [
        listening.http.get(f"/products/SN-1/events?order={order}").json_body for order in ("asc", "desc")
    ]

    assert len(story["history"]) == 50
    assert [len(page["events"]) for page in pages] == [61, 61]
    assert "~" not in json.dumps([story, *pages])
