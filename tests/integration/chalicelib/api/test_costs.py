"""What an answer reads from DynamoDB: as much for a long history as for a short one."""

from typing import Any
from urllib.parse import urljoin

import pytest
from chalice.test import Client

from chalicelib.tables.history import History
from tests.support.api_client import at, keep, linked, notes
from tests.support.lambda_events import wire


@pytest.mark.parametrize("accept", ["application/json", "text/html", "application/ld+json"])
def test_a_long_history_costs_no_more_to_open_than_a_short_one(client: Client, accept: str) -> None:
    """What is read is what DynamoDB charges and waits for: one Query, of the newest 51 events at most."""
    keep(client, *notes(51, "SHORT"), wire("SHORT", "production", at(100)))
    keep(client, *notes(1500, "LONG"), wire("LONG", "production", at(2000)))

    assert reads(client, "/products/SHORT", accept) == [51]
    assert reads(client, "/products/LONG", accept) == [51]


@pytest.mark.parametrize(("voids", "read"), [(0, [51]), (1, [51, 1]), (50, [51, 50]), (51, [51, 51, 51])])
def test_a_product_with_voids_costs_one_query_more(client: Client, voids: int, read: list[int]) -> None:
    """And a third one where their markers leave no room for events in the first."""
    named = [{"position": f"2025-01-01T00:00:00.000000Z#{n:032x}"} for n in range(voids)]
    keep(client, *notes(60), wire("SN-1", "production", at(100)))
    keep(client, *(wire("SN-1", "void", at(n), metadata=each) for n, each in enumerate(named)))

    assert reads(client, "/products/SN-1", "application/json") == read
    assert len(client.http.get("/products/SN-1").json_body["history"]) == 50


def test_a_short_history_with_voids_costs_one_query(client: Client) -> None:
    keep(client, wire("SN-1", "production"), wire("SN-1", "void", at(1), metadata={"event_id": "e"}))

    assert reads(client, "/products/SN-1", "application/json") == [3]


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson", "application/json"])
def test_a_page_of_events_reads_that_page_wherever_it_lies(client: Client, accept: str) -> None:
    keep(client, *notes(1500))

    for page in linked(client, "/products/SN-1/events?limit=400", accept):
        link = page.headers.get("Link")
        if link is not None:
            following = urljoin("/products/SN-1/events", link.removeprefix("<").partition(">")[0])
            assert all(read <= 401 for read in reads(client, following, accept))


def reads(client: Client, path: str, accept: str) -> list[int]:
    """How many items each Query of this request read; without a filter that is what it returns."""
    counted: list[int] = []
    ask = History._ask

    def counting(history: History, *asked: Any, **more: Any) -> Any:
        rows, last = ask(history, *asked, **more)
        counted.append(len(rows))
        return rows, last

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(History, "_ask", counting)
        assert client.http.get(path, headers={"Accept": accept}).status_code == 200
    return counted
