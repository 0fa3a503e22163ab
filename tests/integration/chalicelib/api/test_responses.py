"""What HTTP expects of the API: negotiation, validators, links, CORS, CSV and NDJSON."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from chalice.test import Client, HTTPResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.api import negotiation
from chalicelib.errors import NotAcceptableError
from chalicelib.tables.history import History
from cli.paths import ROOT
from tests.support.api_client import at, keep, notes, refusal
from tests.support.lambda_events import wire


@pytest.fixture
def client(client: Client) -> Client:
    os.environ["LIFECYCLE_PARTIAL_RESPONSES"] = "on"
    return client


def linked(client: Client, path: str, accept: str) -> Iterator[HTTPResponse]:
    """The pages from this path on, followed by their Link header."""
    here: str | None = path
    while here is not None:
        response = client.http.get(here, headers={"Accept": accept})
        assert response.status_code == 200, response.body
        yield response
        link = response.headers.get("Link")
        here = urljoin(here, link.removeprefix("<").removesuffix('>; rel="next"')) if link else None


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("text/html", "html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("text/*", "html"),
        ("application/json;q=0.5, text/html;q=0.4", "json"),
        ("application/json;q=0.5, text/html;q=0.500", "json"),
        ("application/json;q=0, */*", "html"),
        ("application/ld+json", "epcis"),
        ("TEXT/HTML; charset=utf-8; q=0.9, application/json;q=0.1", "html"),
        ("rubbish, text/html", "html"),
    ],
)
def test_the_representation_is_the_one_that_is_liked_best(accept: str | None, expected: str) -> None:
    assert negotiation.negotiated(accept, negotiation.PRODUCT_FORMATS) == expected


@given(st.text())
def test_no_accept_header_is_beyond_an_answer(accept: str) -> None:
    try:
        chosen = negotiation.negotiated(accept, negotiation.EVENTS_FORMATS)
    except NotAcceptableError:
        return
    assert chosen in negotiation.EVENTS_FORMATS


def test_what_nobody_offers_is_406_with_a_sentence(client: Client) -> None:
    keep(client, wire())

    message = refusal(client.http.get("/products/SN-1", headers={"Accept": "image/png"}), 406)

    assert "application/json, text/html, application/ld+json, got 'image/png'" in message


def test_who_has_the_answer_already_is_told_so(client: Client) -> None:
    keep(client, wire("SN-1", "production", at(1)))
    first = client.http.get("/products/SN-1")
    tag = first.headers["ETag"]

    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = client.http.get("/products/SN-1", headers={"If-None-Match": known})
        assert (again.status_code, again.body) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, "private, no-cache")
        assert again.headers["Vary"] == "Accept, Authorization"

    keep(client, wire("SN-1", "serialization", at(2)))
    changed = client.http.get("/products/SN-1", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("accept", ["application/json", "text/html", "application/ld+json"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?serial=SN-1",
        "/products/SN-1",
        "/products/SN-1/events?limit=2",
        "/products/NOPE",
        "/products/-",
        "/health",
        "/openapi.json",
        "/assets/nope",
    ],
)
def test_head_answers_as_get_does_without_the_body(client: Client, path: str, accept: str) -> None:
    keep(client, *notes(60))

    got = client.http.get(path, headers={"Accept": accept})
    head = client.http.request("HEAD", path, headers={"Accept": accept})

    assert (head.status_code, head.headers, head.body) == (got.status_code, got.headers, b"")
    if "ETag" in got.headers:
        known = {"Accept": accept, "If-None-Match": got.headers["ETag"]}
        assert client.http.request("HEAD", path, headers=known).status_code == 304


def test_a_refusal_is_kept_by_nobody(client: Client) -> None:
    response = client.http.get("/products/NOPE", headers={"If-None-Match": "*"})

    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


@pytest.mark.parametrize("path", ["/products/SN-1", "/products/SN-1/events?limit=7"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_the_next_page_is_in_the_link_header(client: Client, path: str, accept: str) -> None:
    keep(client, *notes(60))

    pages = list(linked(client, path, accept))

    assert len(pages) > 1
    if accept == "application/json":
        for page in pages[:-1]:
            assert page.headers["Link"] == f'<{page.json_body["next"]}>; rel="next"'


def test_csv_comes_page_by_page_and_holds_everything(client: Client) -> None:
    text = '{"a":"comma, \\"quote\\"\\nline","n":1.10}'
    keep(
        client,
        *notes(30),
        b'{"serial":"SN-1","type":"note","occurred_at":"2026-01-02T00:00:00+05:30","source":"x,\\"y\\"\\r\\n",'
        b'"event_id":"e","metadata":' + text.encode() + b"}",
    )
    rows: list[dict[str, str]] = []
    for page in linked(client, "/products/SN-1/events?order=asc&limit=10", "text/csv"):
        assert page.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
        rows += csv.DictReader(io.StringIO(page.body.decode(), newline=""))

    assert len(rows) == 31
    assert [json.loads(row["metadata"])["n"] for row in rows[:30]] == list(range(30))
    last = rows[-1]
    assert (last["serial"], last["type"], last["event_id"]) == ("SN-1", "note", "e")
    assert (last["source"], last["occurred_at"]) == ('x,"y"\r\n', "2026-01-02T00:00:00+05:30")
    assert last["metadata"] == text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/products/SN%3A1", "SN_1-part-50-events.json"),
        ("/products/SN%3A1?format=epcis", "SN_1-part-50-events.jsonld"),
        ("/products/SN%3A1/events?limit=1000&format=csv", "SN_1.csv"),
        ("/products/SN%3A1/events?limit=1000&format=ndjson&order=asc", "SN_1.ndjson"),
        ("/products/SN%3A1/events?limit=60&format=epcis", "SN_1.jsonld"),
        ("/products/SN%3A1/events?limit=60&format=json", "SN_1.json"),
        ("/products/SN%3A1/events?limit=59&format=csv", "SN_1-part-59-events.csv"),
        ("/products/SN%3A1/events?type=note&limit=1000&format=csv", "SN_1-part-60-events.csv"),
        ("/products/SN%3A1/events?since=2026-01-01T00:00:50Z&format=json", "SN_1-part-10-events.json"),
    ],
)
def test_an_answer_is_named_after_its_product_and_says_when_it_is_a_part(
    client: Client, path: str, name: str
) -> None:
    keep(client, *notes(60, "SN:1"))

    assert client.http.get(path).headers["Content-Disposition"] == f'inline; filename="{name}"'


def test_the_last_page_is_a_part_and_a_page_for_people_is_no_file(client: Client) -> None:
    keep(client, *notes(60))

    *_, last = linked(client, "/products/SN-1/events?limit=59", "text/csv")
    assert 'filename="SN-1-part-1-events.csv"' in last.headers["Content-Disposition"]
    assert (
        "Content-Disposition"
        not in client.http.get("/products/SN-1", headers={"Accept": "text/html"}).headers
    )


def test_ndjson_lines_say_it_all(client: Client) -> None:
    keep(client, *notes(30))

    lines = [
        json.loads(line)
        for page in linked(client, "/products/SN-1/events?limit=12", "application/x-ndjson")
        for line in page.body.decode().splitlines()
    ]

    assert [line["metadata"]["n"] for line in lines] == list(range(29, -1, -1))
    assert {line["serial"] for line in lines} == {"SN-1"}


def test_a_format_can_be_named_in_a_link_and_the_next_page_keeps_it(client: Client) -> None:
    keep(client, *notes(5))

    first = client.http.get("/products/SN-1/events?format=csv&limit=3", headers={"Accept": "text/html"})
    assert first.headers["Content-Type"].startswith("text/csv")
    assert "&format=csv&" in first.headers["Link"]
    assert "format: expected json, html, epcis, got 'csv'" in refusal(
        client.http.get("/products/SN-1?format=csv")
    )


def test_no_header_makes_a_500(client: Client) -> None:
    keep(client, *notes(3))
    text = st.text(st.characters(min_codepoint=32, max_codepoint=255)) | st.sampled_from(["*/*", '"', "W/"])

    @settings(max_examples=100)
    @given(
        st.dictionaries(
            st.sampled_from(["Accept", "If-None-Match", "Accept-Encoding", "Authorization", "X"]), text
        )
    )
    def answers(headers: dict[str, str]) -> None:
        assert client.http.get("/products/SN-1/events", headers=headers).status_code in (200, 304, 406)

    answers()


def test_other_origins_may_ask_only_where_the_operator_says_so(client: Client) -> None:
    keep(client, wire())
    assert not [
        name for name in client.http.get("/products/SN-1").headers if name.startswith("Access-Control")
    ]

    program = (
        "from chalice.test import Client\nfrom app import app\n"
        "with Client(app, stage_name='test') as c:\n"
        "    h = c.http.get('/openapi.json').headers\n"
        "print(h['Access-Control-Allow-Origin'], h['Access-Control-Expose-Headers'])"
    )
    for origin, code, out in (
        ("https://portal.example", 0, ["https://portal.example ETag,Link"]),
        ("*", 0, ["* ETag,Link"]),
        ("portal", 1, []),
    ):
        environment = {**os.environ, "LIFECYCLE_CORS_ORIGIN": origin}
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (code, out), (
            ran.stderr
        )  # the log comes first
        assert code == 0 or "LIFECYCLE_CORS_ORIGIN: expected * or an origin" in ran.stderr


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
