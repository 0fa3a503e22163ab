"""Dead letters through triage, and what is where afterwards."""

import json
from typing import Any

import boto3
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.deadline import Deadline
from chalicelib.domain import events
from chalicelib.ingest.writers import Writers
from chalicelib.tables.cases import Case
from chalicelib.tables.history import History
from chalicelib.tables.progress import Progress
from chalicelib.tables.quarantine import Quarantine
from chalicelib.triage.triage import Report, Triage
from tests.support import faults
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


def items_of(table: str) -> int:
    count: int = boto3.client("dynamodb").scan(TableName=table, Select="COUNT")["Count"]
    return count


def down_for(*marks: str | bytes) -> faults.Answer:
    """DynamoDB answering with an error whenever a request speaks of one of these products or events."""
    keys = [events.decode(mark).position if isinstance(mark, bytes) else mark for mark in marks]

    def answer(body: dict[str, Any]) -> Any:
        text = json.dumps(body)
        return faults.error("InternalServerError", status=500) if any(k in text for k in keys) else None

    return answer


class Handler:
    """Triage as the handler builds it, with a clock that only moves when somebody waits."""

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb")
        self.kinesis = boto3.client("kinesis")
        self.writers = Writers(4)
        self.now = 0.0

    def run(self, event: dict[str, Any], seconds: float = 60) -> list[Report]:
        deadline = Deadline(seconds, clock=lambda: self.now, sleep=self._wait, uniform=lambda _, most: most)
        triaging = Triage(
            self.kinesis,
            settings.stream_name(),
            History(self.dynamodb, settings.history_table()),
            Quarantine(self.dynamodb, settings.quarantine_table()),
            Progress(self.dynamodb, settings.quarantine_table()),
            self.writers,
            sleep=self._wait,
        )
        return triaging.messages(event["Records"], deadline)

    def _wait(self, seconds: float) -> None:
        self.now += seconds
