"""The REST API over real tables: answers, pages, cursors, refusals."""

import json
from typing import Any
from urllib.parse import quote, urljoin

import pytest
from chalice.test import Client

from tests.support.api_client import at, flat, follow, keep, notes, numbers, refusal
from tests.support.lambda_events import wire


def test_a_products_story(client: Client) -> None:
    keep(
        client,
        wire("SN-1", "production", "2026-01-01T10:00:00+01:00", source="plant-7", event_id="e-1"),
        wire("SN-1", "theft", "2026-02-01T00:00:00.5Z"),
        wire("SN-1", "dealer_registration", "2026-02-02T00:00:00Z", metadata={"dealer": "Zoë & Söhne"}),
        wire("SN-2", "production"),
    )

    response = client.http.get("/products/SN-1")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    story = response.json_body
    assert (story["serial"], story["status"], story["since"]) == (
        "SN-1",
        "registered",
        "2026-02-02T00:00:00Z",
    )
    assert [event["type"] for event in story["history"]] == ["dealer_registration", "theft", "production"]
    assert story["history"][0]["metadata"] == {"dealer": "Zoë & Söhne"}
    assert story["history"][2]["occurred_at"] == "2026-01-01T10:00:00+01:00"
    assert (story["history"][2]["source"], story["history"][2]["event_id"]) == ("plant-7", "e-1")
    assert [(odd["type"], odd["code"]) for odd in story["anomalies"]] == [
        ("dealer_registration", "unexpected_order"),
        ("theft", "unexpected_order"),
    ][:1]
    assert story["next"] is None


def test_metadata_comes_back_exactly_as_sent(client: Client) -> None:
    text = '{"":-0,"a":[1e2,1.10,1234567890123456789012345678901234567890],"deep":{"z":{}},"é":"\\u0000/"}'
    keep(
        client,
        b'{"serial":"SN-1","type":"note","occurred_at":"2026-01-01T00:00:00Z","metadata":'
        + text.encode()
        + b"}",
    )

    for path in ("/products/SN-1", "/products/SN-1/events"):
        assert f'"metadata":{text}'.encode() in client.http.get(path).body


def test_a_percent_encoded_serial_finds_the_same_product(client: Client) -> None:
    keep(client, wire("SN:1"))

    assert client.http.get("/products/SN%3A1").json_body == client.http.get("/products/SN:1").json_body


def test_a_product_answers_with_its_50_newest_events_and_where_the_rest_is(client: Client) -> None:
    keep(client, *notes(51, "SN:1"))

    first = client.http.get("/products/SN:1").json_body
    rest = client.http.get(urljoin("/products/SN:1", first["next"])).json_body

    assert [event["metadata"]["n"] for event in first["history"]] == list(range(50, 0, -1))
    assert [event["metadata"]["n"] for event in rest["events"]] == [0]
    assert rest["next"] is None


@pytest.mark.parametrize("prefix", ["", "/api", "/restapis/abc/dev/_user_request_"])
def test_next_is_a_relative_reference_that_survives_a_stage_prefix(client: Client, prefix: str) -> None:
    keep(client, *notes(51, "SN:1"))

    # API Gateway routes a path with a slash at its end like the one without, and so does Chalice's server.
    for slash in ("", "/"):
        for path in (f"/products/SN%3A1{slash}", f"/products/SN%3A1/events{slash}?limit=7"):
            resolved = urljoin(f"https://example.org{prefix}{path}", client.http.get(path).json_body["next"])

            expected = f"{prefix}/products/SN%3A1/events{slash if 'events' in path else ''}?"
            assert resolved.startswith(f"https://example.org{expected}")
            assert client.http.get(resolved.removeprefix(f"https://example.org{prefix}")).status_code == 200


def test_exactly_50_events_have_no_next_page(client: Client) -> None:
    keep(client, *notes(50))

    assert client.http.get("/products/SN-1").json_body["next"] is None


def test_the_status_is_found_behind_the_newest_page(client: Client) -> None:
    keep(client, wire("SN-1", "retirement", "2025-01-01T00:00:00Z"), *notes(600))

    story = client.http.get("/products/SN-1").json_body

    assert (story["status"], story["since"]) == ("retired", "2025-01-01T00:00:00Z")


def test_after_three_megabytes_without_an_answer_the_status_is_undetermined(client: Client) -> None:
    filler = "x" * 300_000
    large = [wire("SN-1", "note", at(second), metadata={"n": second, "text": filler}) for second in range(14)]
    keep(client, wire("SN-1", "retirement", "2025-01-01T00:00:00Z"), *large)

    story = client.http.get("/products/SN-1").json_body

    assert (story["status"], story["since"]) == ("undetermined", None)


def test_three_megabytes_of_one_microsecond_decide_nothing_while_more_of_it_is_unread(client: Client) -> None:
    """Within one microsecond the lifecycle's own order decides, so all of it has to be seen."""
    filler = "x" * 300_000
    together = [
        wire("SN-1", "production", at(1), event_id=f"e-{n}", metadata={"text": filler}) for n in range(14)
    ]
    keep(client, wire("SN-1", "retirement", at(1)), *together)

    story = client.http.get("/products/SN-1").json_body

    assert (story["status"], story["since"]) == ("undetermined", None)


def test_a_void_of_what_is_not_there_is_odd_once_the_whole_history_is_on_the_page(client: Client) -> None:
    missing = "2026-01-01T00:00:00.000000Z#" + "0" * 32
    keep(client, wire("SN-1", "void", at(60), metadata={"position": missing}), *notes(49))

    def odd() -> list[str]:
        return [each["code"] for each in client.http.get("/products/SN-1").json_body["anomalies"]]

    assert odd() == ["void_names_missing"]
    assert 'href="#e-0000000000000000"' not in client.http.get("/products/SN-1?format=html").body.decode()
    keep(client, wire("SN-1", "note", at(61)))
    assert odd() == [], "it may be further back"


def test_large_events_come_as_many_to_a_page_as_one_query_returns(client: Client) -> None:
    filler = "x" * 300_000
    keep(client, *(wire("SN-1", "note", at(n), metadata={"n": n, "text": filler}) for n in range(8)))

    pages = [numbers(page) for page in follow(client, "/products/SN-1/events?order=asc&limit=1000")]

    assert flat(pages) == list(range(8))
    assert max(map(len, pages)) <= 4


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 10, 30, 31, 1000])
def test_pages_hold_every_event_once_in_order(client: Client, order: str, limit: int) -> None:
    keep(client, *notes(30))

    pages = [numbers(page) for page in follow(client, f"/products/SN-1/events?order={order}&limit={limit}")]

    expected = list(range(30)) if order == "asc" else list(range(29, -1, -1))
    assert flat(pages) == expected
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]


def test_filters_by_type_and_time(client: Client) -> None:
    keep(client, *notes(20), *notes(20, type="service"))

    def found(query: str) -> list[int]:
        return flat(numbers(page) for page in follow(client, f"/products/SN-1/events?order=asc&{query}"))

    assert found("type=service&limit=7") == list(range(20))
    assert found(f"since={at(5)}&type=note") == list(range(5, 20))
    assert found(f"until={at(5)}&type=note") == list(range(5))
    assert found(f"since={at(5)}&until={at(8)}&limit=1") == [5, 5, 6, 6, 7, 7]
    assert found(f"since={quote('2026-01-01T01:00:05+01:00')}&until={at(6)}&type=note") == [5]
    assert found("type=theft") == []
    assert found(f"since={at(5)}&until={at(5)}") == []


def test_since_and_until_are_cut_to_microseconds_and_the_description_says_so(client: Client) -> None:
    keep(client, wire("SN-1", "note", "2026-01-01T00:00:00.0000015Z", metadata={"n": 1}))

    def found(query: str) -> list[int]:
        return numbers(client.http.get(f"/products/SN-1/events?{query}"))

    assert found("since=2026-01-01T00:00:00.0000019Z") == [1]
    assert found("until=2026-01-01T00:00:00.0000019Z") == []
    described = client.http.get("/openapi.json").json_body["paths"]["/products/{serial}/events"]
    for parameter in described["parameters"]:
        if parameter["name"] in ("since", "until"):
            assert "Digits beyond the microsecond are cut off" in parameter["description"]


def test_a_filter_that_finds_nothing_is_not_an_unknown_product(client: Client) -> None:
    keep(client, *notes(1))

    assert client.http.get("/products/SN-1/events?type=theft").status_code == 200
    assert (
        refusal(client.http.get("/products/SN-2/events?type=theft"), 404) == "no history for product 'SN-2'"
    )


def test_a_voided_event_stays_visible_and_says_by_what(client: Client) -> None:
    keep(client, wire("SN-1", "production", at(1)), wire("SN-1", "theft", at(2)))
    (theft, _) = client.http.get("/products/SN-1").json_body["history"]
    keep(client, wire("SN-1", "void", at(3), metadata={"position": theft["position"]}))

    story: dict[str, Any] = client.http.get("/products/SN-1").json_body

    void, voided, produced = story["history"]
    assert (story["status"], voided["voided_by"], void["type"]) == ("produced", void["position"], "void")
    assert "voided_by" not in produced
    assert json.loads(json.dumps(story)) == story
