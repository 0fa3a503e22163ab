"""What the API refuses, and with which sentence: queries, serials, cursors, a history that is silent."""

import json
import os
from urllib.parse import quote

import pytest
from chalice.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.api import cursors
from chalicelib.errors import StorageError
from tests.support.api_client import at, keep, notes, numbers, refusal
from tests.support.headings import says


def test_a_product_without_history_is_404(client: Client) -> None:
    for path in "/products/SN-1", "/products/SN-1/events":
        message = refusal(client.http.get(path), 404)
        assert message == "no history for product 'SN-1'"
        assert says("no history for product", message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit: expected a number from 1 to 1000, got '0'"),
        ("limit=1001", "limit: expected a number from 1 to 1000, got '1001'"),
        ("limit=-1", "limit: expected a number from 1 to 1000, got '-1'"),
        ("limit=%C2%B2", "limit: expected a number from 1 to 1000, got '\\xb2'"),
        ("limit=", "limit: expected a number from 1 to 1000, got ''"),
        ("limit=1&limit=2", "limit: given 2 times, expected once"),
        ("order=up", "order: expected asc or desc, got 'up'"),
        ("type=Service", "type: expected a lower-case letter, then up to 63 of a-z 0-9 _, got 'Service'"),
        ("since=yesterday", "since: expected RFC 3339 with an offset, got 'yesterday'"),
        (
            "until=2026-01-01T00:00:00+01:00",
            "until: expected RFC 3339 with an offset, got '2026-01-01T00:00:00 01:00' "
            "(a + in a query string is written %2B)",
        ),
        (
            "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
            "since: lies after until, so nothing can match",
        ),
        (
            "colour=red",
            "no such parameter 'colour'; expected type, since, until, order, limit, cursor, format, "
            "anomalies",
        ),
        ("cursor=", "cursor: not one of ours; start again without it"),
        ("cursor=%FF", "cursor: not one of ours; start again without it"),
        ("cursor=abc", "cursor: not one of ours; start again without it"),
    ],
)
def test_a_query_that_makes_no_sense_is_400_with_a_sentence(client: Client, query: str, message: str) -> None:
    assert refusal(client.http.get(f"/products/SN-1/events?{query}")) == message


@pytest.mark.parametrize("serial", ["-1", "%20", "a%00", "x" * 129, "%C3%A9", "a%2Fb", "%2525"])
def test_a_serial_that_cannot_be_one_is_400(client: Client, serial: str) -> None:
    assert refusal(client.http.get(f"/products/{serial}")).startswith("serial: expected 1 to 128")


def test_a_cursor_is_good_for_its_product_and_its_query_only(client: Client) -> None:
    keep(client, *notes(5), *notes(5, "SN-2"))
    following = client.http.get("/products/SN-1/events?limit=2&order=asc").json_body["next"]
    cursor = following.partition("cursor=")[2]

    for path in (
        f"/products/SN-2/events?order=asc&cursor={cursor}",
        f"/products/SN-1/events?cursor={cursor}",
        f"/products/SN-1/events?order=asc&type=note&cursor={cursor}",
        f"/products/SN-1/events?order=asc&since={at(1)}&cursor={cursor}",
    ):
        assert says("cursor: made for another product or query", refusal(client.http.get(path)))
    assert numbers(client.http.get(f"/products/SN-1/events?order=asc&limit=3&cursor={cursor}")) == [2, 3, 4]


def test_a_forged_cursor_leads_nowhere_outside_its_query(client: Client) -> None:
    keep(client, *notes(5))
    since = at(3).replace("Z", ".000000Z")
    outside = f"{at(1).replace('Z', '.000000Z')}#{'0' * 32}"
    cursor = cursors.encode(outside, ("SN-1", None, since, None, "desc"))

    answer = client.http.get(f"/products/SN-1/events?since={at(3)}&cursor={cursor}")

    assert refusal(answer) == "cursor: lies outside since and until; start again without it"


def test_no_cursor_or_query_makes_a_500(client: Client) -> None:
    keep(client, *notes(3))

    @settings(max_examples=200)
    @given(
        st.dictionaries(
            st.sampled_from(["type", "since", "until", "order", "limit", "cursor"]),
            st.text() | st.sampled_from(["asc", "1", at(1), "note", "A" * 40, "=" * 9]),
        )
    )
    def answers(parameters: dict[str, str]) -> None:
        def clean(text: str) -> str:
            return quote(text.encode("utf-8", "replace"))

        query = "&".join(f"{name}={clean(value)}" for name, value in parameters.items())
        assert client.http.get(f"/products/SN-1/events?{query}").status_code in (200, 400)

    answers()


def test_health_says_whether_the_history_answers(client: Client) -> None:
    assert (client.http.get("/health").status_code, client.http.get("/health").json_body) == (
        200,
        {"status": "ok"},
    )

    os.environ["LIFECYCLE_HISTORY_TABLE"] = "no-such-table"
    wiring.reset()

    response = client.http.get("/health")
    assert response.status_code == 503
    assert response.json_body["reason"] == "DynamoDB said ResourceNotFoundException"


def test_why_the_history_does_not_answer_is_for_the_log_and_not_for_the_public(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ["LIFECYCLE_HISTORY_TABLE"] = "no-such-table"
    wiring.reset()
    said = wiring.history_for_reading()
    with pytest.raises(StorageError) as refused:
        said.page("SN-1", limit=1)
    words = str(refused.value).partition(": ")[2]
    assert words  # such as the name of the role and its account, where access is denied
    capsys.readouterr()

    answers = [client.http.get(path).body.decode() for path in ("/health", "/products/SN-1")]
    client.http.get("/")

    assert all(words not in answer for answer in answers)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["status"], line.get("because")) for line in lines] == [
        (503, f"DynamoDB said ResourceNotFoundException: {words}"),
        (503, f"DynamoDB said ResourceNotFoundException: {words}"),
        (200, None),
    ]


def test_a_table_that_does_not_answer_is_503_not_500(client: Client) -> None:
    os.environ["LIFECYCLE_HISTORY_TABLE"] = "no-such-table"
    wiring.reset()

    message = refusal(client.http.get("/products/SN-1"), 503)

    assert message == "the history does not answer; try again in a moment"
    assert says("the history does not answer", message)
