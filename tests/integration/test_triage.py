"""Dead letters through the deployed handler: their records read again, each with its verdict."""

import json
import os
from typing import Any

import pytest
from chalice.test import Client

from chalicelib import wiring
from tests.dead_letters import Stream, sqs_event
from tests.lambda_events import wire

NOTHING_LEFT = {"batchItemFailures": []}


def notes(count: int, serial: str = "SN-1") -> list[bytes]:
    return [wire(serial, "note", metadata={"n": n}) for n in range(count)]


def stored(serial: str = "SN-1") -> list[int]:
    """The numbers that `notes` put into metadata, as the table has them."""
    page = wiring.history().page(serial, limit=None)
    return sorted(json.loads(event.metadata)["n"] for event in page.events)


def triage(client: Client, *bodies: object) -> Any:
    return client.lambda_.invoke("triage_dead_letters", sqs_event(*bodies)).payload


@pytest.fixture
def listening(client: Client) -> Client:
    """A client whose event source mapping listens to partial responses."""
    os.environ["LIFECYCLE_PARTIAL_RESPONSES"] = "on"
    return client


@pytest.fixture
def stream(stage: str) -> Stream:
    return Stream()


def test_the_records_that_a_dead_letter_points_to_are_stored(listening: Client, stream: Stream) -> None:
    numbers = stream.put(notes(30))

    answer = triage(listening, stream.dead_letter(numbers[5:25]))

    assert answer == NOTHING_LEFT
    assert stored() == list(range(5, 25))
