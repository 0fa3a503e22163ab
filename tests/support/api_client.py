"""Putting events into a stage and asking the API about them, as tests of the API do."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import chain
from urllib.parse import urljoin

from chalice.test import Client, HTTPResponse

from chalicelib import wiring
from tests.support.lambda_events import batch, wire


def keep(client: Client, *data: bytes) -> None:
    for start in range(0, len(data), 500):
        answer = client.lambda_.invoke("process_lifecycle", batch(data[start : start + 500]))
        assert answer.payload == {"batchItemFailures": []}
    assert not list(wiring.quarantine().ids())


def at(second: int) -> str:
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=second)
    return moment.isoformat().replace("+00:00", "Z")


def notes(count: int, serial: str = "SN-1", type: str = "note") -> list[bytes]:
    return [wire(serial, type, at(second), metadata={"n": second}) for second in range(count)]


def numbers(response: HTTPResponse) -> list[int]:
    return [event["metadata"]["n"] for event in response.json_body["events"]]


def flat(pages: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(pages))


def follow(client: Client, path: str) -> Iterator[HTTPResponse]:
    """The pages from this path on, followed as a browser would follow them."""
    here: str | None = path
    while here is not None:
        response = client.http.get(here)
        assert response.status_code == 200, response.body
        yield response
        following = response.json_body["next"]
        here = urljoin(here, following) if following else None


def linked(client: Client, path: str, accept: str) -> Iterator[HTTPResponse]:
    """The pages from this path on, followed by their Link header."""
    here: str | None = path
    while here is not None:
        response = client.http.get(here, headers={"Accept": accept})
        assert response.status_code == 200, response.body
        yield response
        link = response.headers.get("Link")
        here = urljoin(here, link.removeprefix("<").removesuffix('>; rel="next"')) if link else None


def refusal(response: HTTPResponse, status: int = 400) -> str:
    assert response.status_code == status, response.body
    assert set(response.json_body) == {"Code", "Message"}
    assert "Traceback" not in response.body.decode()
    message: str = response.json_body["Message"]
    return message
