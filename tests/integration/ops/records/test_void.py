"""`ops void`: a void on the stream, and markers for those that were stored without."""

import json
import shlex
from typing import Any

import boto3
import msgspec
import pytest
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.domain import events
from chalicelib.tables.items import to_item
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from ops.records import void
from tests.support.api_client import at, keep
from tests.support.dead_letters import Stream
from tests.support.lambda_events import wire
from tests.support.operators import Operator
from tests.support.quarantine_cases import on_the_stream

SERIAL = "SN-4F7K2M9Q"
PRODUCTION = wire(SERIAL, "production", "2024-05-01T10:00:00+02:00")
THEFT = wire(SERIAL, "theft", "2024-06-09T23:15:00+02:00", event_id="e-4711")


def position_of(data: bytes) -> str:
    return events.decode(data).position


def story(client: Client) -> Any:
    return client.http.get(f"/products/{SERIAL}").json_body


def arrive(client: Client, stream: Stream) -> list[dict[str, Any]]:
    """What has been put on the stream is stored; it, as JSON."""
    sent = [data for data, key in on_the_stream(stream) if key == SERIAL]
    keep(client, *sent)
    return [json.loads(data) for data in sent]


def test_an_event_is_taken_out_by_its_position(listening: Client, ops: Operator, stream: Stream) -> None:
    keep(listening, PRODUCTION, THEFT)

    ran = ops("void", SERIAL, "--event", position_of(THEFT), "--why", "entered twice", "--who", "ada")

    assert ran.code == EXIT_OK
    assert ran.out == f"{position_of(THEFT)}  theft of 2024-06-09T23:15:00+02:00: taken out\n"
    (sent,) = arrive(listening, stream)
    assert (sent["type"], sent["source"]) == ("void", "ops")
    assert sent["metadata"] == {"position": position_of(THEFT), "why": "entered twice", "who": "ada"}
    told = story(listening)
    assert told["status"] == "produced"
    assert told["history"][1]["voided_why"] == "entered twice"
    undo = ran.err.splitlines()[-1].removeprefix("python -m ops ").replace("…", '"it was stolen"')
    assert ops(*shlex.split(undo)).code == EXIT_OK
    arrive(listening, stream)
    assert story(listening)["status"] == "stolen"


def test_events_are_taken_out_by_their_id(listening: Client, ops: Operator, stream: Stream) -> None:
    again = wire(SERIAL, "theft", "2024-06-10T23:15:00+02:00", event_id="e-4711")
    keep(listening, PRODUCTION, THEFT, again, wire(SERIAL, "void", at(1), event_id="e-4711"))

    ran = ops("void", SERIAL, "--event-id", "e-4711", "--why", "a test", "--json")

    assert {(each["event"], each["verdict"], each["why"]) for each in ran.json} == {
        (position_of(THEFT), "taken out", "a test"),
        (position_of(again), "taken out", "a test"),
    }
    (sent,) = arrive(listening, stream)
    assert sent["metadata"].items() >= {"event_id": "e-4711", "why": "a test"}.items()
    told = story(listening)
    assert told["status"] == "produced"
    assert {each["void"] for each in ran.json} == {told["history"][0]["position"]}


def test_an_event_id_is_looked_for_in_the_whole_history(listening: Client, ops: Operator) -> None:
    filler = "x" * 300_000
    keep(listening, THEFT, *(wire(SERIAL, "note", at(n), metadata={"text": filler}) for n in range(5)))

    ran = ops("void", SERIAL, "--event-id", "e-4711", "--why", "a test", "--dry-run")

    assert (ran.code, len(ran.out.splitlines())) == (EXIT_OK, 1)


def test_a_dry_run_sends_nothing(listening: Client, ops: Operator, stream: Stream) -> None:
    keep(listening, THEFT)

    ran = ops("void", SERIAL, "--event", position_of(THEFT), "--why", "a test", "--dry-run")

    assert ran.out.endswith(": would be taken out\n")
    assert ran.err == "nothing sent: --dry-run\n"
    assert on_the_stream(stream) == []


def test_what_is_taken_out_already_is_said_with_its_void_and_nothing_is_sent(
    listening: Client, ops: Operator, stream: Stream
) -> None:
    void_ = wire(SERIAL, "void", at(1), metadata={"position": position_of(THEFT), "why": "entered twice"})
    keep(listening, THEFT, void_)

    ran = ops("void", SERIAL, "--event", position_of(THEFT), "--why", "a test")
    as_json = ops("void", SERIAL, "--event-id", "e-4711", "--why", "a test", "--json").json

    assert ran.code == EXIT_OK
    assert f"taken out already by {position_of(void_)}: entered twice" in ran.out
    assert [(each["verdict"], each["void"], each["why"]) for each in as_json] == [
        ("taken out already", position_of(void_), "entered twice")
    ]
    assert on_the_stream(stream) == []


def test_a_void_of_an_event_from_the_future_is_dated_as_its_event(
    listening: Client, ops: Operator, stream: Stream
) -> None:
    future = wire(SERIAL, "theft", "2190-01-01T00:00:00.1234567+02:00")
    keep(listening, PRODUCTION, future)

    ops("void", SERIAL, "--event", position_of(future), "--why", "a wrong clock")

    assert [each["occurred_at"] for each in arrive(listening, stream)] == [
        "2190-01-01T00:00:00.1234567+02:00"
    ]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        (["--event", position_of(THEFT)], f"has no event at {position_of(THEFT)}"),
        (["--event-id", "e-4711"], "has no event with the id 'e-4711'"),
    ],
)
def test_an_event_that_is_not_there_is_a_sentence(
    listening: Client, ops: Operator, named: list[str], sentence: str
) -> None:
    keep(listening, PRODUCTION, wire(SERIAL, "void", at(1), event_id="e-4711"))

    for serial in (SERIAL, "SN-2"):
        ran = ops("void", serial, *named, "--why", "a test")
        assert (ran.code, ran.out) == (EXIT_FAILED, "")
        assert f"error: {serial} {sentence}" in ran.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--event", position_of(THEFT), "--why", "x"], "name the product, and give the reason with --why"),
        ([SERIAL, "--event", position_of(THEFT)], "name the product, and give the reason with --why"),
        (["S N", "--event", position_of(THEFT), "--why", "x"], "serial: expected 1 to 128"),
        ([SERIAL, "--event", "yesterday", "--why", "x"], "--event: expected a position"),
        ([SERIAL, "--event", position_of(THEFT), "--why", "x" * 201], "--why: expected at most 200"),
        ([SERIAL, "--event-id", "e", "--why", "x", "--limit", "1"], "--limit goes with --backfill"),
        ([SERIAL, "--backfill"], "--backfill is about all products"),
        (["--backfill", "--why", "x"], "--backfill is about all products"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    ops: Operator, arguments: list[str], sentence: str
) -> None:
    ran = ops("void", *arguments)

    assert ran.code == EXIT_USAGE
    assert sentence in ran.err


def test_the_examples_work(listening: Client, ops: Operator, stream: Stream) -> None:
    other = wire(SERIAL, "theft", "2024-06-10T23:15:00+02:00")
    keep(listening, PRODUCTION, THEFT, other)
    lines = void.EXAMPLES.replace("POSITION", position_of(other)).splitlines()
    examples = [shlex.split(line)[3:] for line in lines if line.startswith("  python -m ops ")]

    assert len(examples) == 3
    for example in examples:
        assert ops(*example).code == EXIT_OK, example
    assert len(arrive(listening, stream)) == 1


def store_without_markers(*data: bytes) -> None:
    """As a version did that knew no markers."""
    client = boto3.client("dynamodb")
    for each in data:
        item = json.loads(msgspec.json.encode(to_item(events.decode(each), 1)))
        client.put_item(TableName=settings.history_table(), Item=item)


def old_voids(count: int) -> list[bytes]:
    return [wire(f"SN-{n}", "void", at(n), metadata={"event_id": "e", "why": f"{n}"}) for n in range(count)]


def marked(count: int) -> int:
    return sum(len(wiring.history().voids(f"SN-{n}").voids) for n in range(count))


def test_missing_markers_are_made_and_a_dry_run_says_how_many(listening: Client, ops: Operator) -> None:
    keep(listening, *old_voids(3), wire("SN-9", "void", at(1)), *(wire(f"SN-{n}") for n in range(5)))
    store_without_markers(*old_voids(7))

    dry = ops("void", "--backfill", "--dry-run")
    assert (dry.code, marked(7)) == (EXIT_OK, 3)
    assert dry.out == "16 items looked at: of 7 voids 4 lack their markers\n"

    ran = ops("void", "--backfill", "--json")
    assert ran.json == [{"dry_run": False, "finished": True, "items": 16, "voids": 7, "missing": 4}]
    assert marked(7) == 7
    assert ops("void", "--backfill", "--json").json[0]["missing"] == 0, "it looks through everything again"


def test_a_marker_that_says_something_else_is_put_right(listening: Client, ops: Operator) -> None:
    (data,) = old_voids(1)
    keep(listening, data)
    boto3.resource("dynamodb").Table(settings.history_table()).put_item(
        Item={"serial": "SN-0", "position": f"~void#{position_of(data)}", "names": "event_id:other"}
    )

    ops("void", "--backfill")

    assert [each.names for each in wiring.history().voids("SN-0").voids] == ["event_id:e"]


def test_a_backfill_goes_on_where_it_was_stopped(listening: Client, ops: Operator) -> None:
    filler = "x" * 300_000
    keep(listening, *(wire(f"SN-F{n}", "note", metadata={"text": filler}) for n in range(10)))
    store_without_markers(*old_voids(20))
    looked: list[int] = []

    for _ in range(10):
        (done,) = ops("void", "--backfill", "--limit", "1", "--json").json
        looked.append(done["items"])
        if done["finished"]:
            break

    assert len(looked) > 2
    assert looked == sorted(set(looked))
    assert looked[-1] == 30 + 1, "and the item that says how far it has come"
    assert marked(20) == 20


def test_the_history_of_products_is_untouched_by_a_backfill(listening: Client, ops: Operator) -> None:
    keep(listening, THEFT, wire(SERIAL, "void", at(1), metadata={"position": position_of(THEFT)}))
    before = story(listening)

    ops("void", "--backfill")

    assert story(listening) == before
