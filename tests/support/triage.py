"""Dead letters through the deployed handler, and what is where afterwards."""

import json
from typing import Any

from chalice.test import Client

from chalicelib import wiring
from chalicelib.tables.cases import Case
from tests.support.dead_letters import sqs_event
from tests.support.lambda_events import wire

NOTHING_LEFT: dict[str, Any] = {"batchItemFailures": []}


def notes(count: int, serial: str = "SN-1") -> list[bytes]:
    return [wire(serial, "note", metadata={"n": n}) for n in range(count)]


def stored(serial: str = "SN-1") -> list[int]:
    """The numbers that `notes` put into metadata, as the table has them."""
    page = wiring.history().page(serial, limit=None)
    return sorted(json.loads(event.metadata)["n"] for event in page.events)


def set_aside() -> list[Case]:
    return list(wiring.quarantine().list())


def the_case() -> Case:
    (case,) = set_aside()
    return case


def run(client: Client, *bodies: object) -> Any:
    return client.lambda_.invoke("triage_dead_letters", sqs_event(*bodies)).payload
