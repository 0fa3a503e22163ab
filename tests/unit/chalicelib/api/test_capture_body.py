"""Hostile bodies for `POST /events`: each is refused with a sentence, in bounded memory, and nothing is sent.

There is no stream here: what were sent would be answered with 503.
"""

import contextlib
import gzip
import json
import os
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from chalice.test import Client, HTTPResponse
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api import capture
from chalicelib.epcis import schema
from chalicelib.errors import RequestError
from tests.support.headings import says
from tests.support.lambda_events import wire

JSON = {"content-type": "application/json"}

#: What a function of 1,024 MB can spare.
MAX_MEMORY_BYTES = 300 * 1024 * 1024


@pytest.fixture
def client() -> Iterator[Client]:
    from app import app

    os.environ.update(LIFECYCLE_OPEN="yes", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    with Client(app, stage_name="test") as running:
        yield running


def post(client: Client, body: bytes, headers: dict[str, str] = JSON) -> HTTPResponse:
    return client.http.post("/events", headers=dict(headers), body=body)


def array(*data: bytes) -> bytes:
    return b"[" + b",".join(data) + b"]"


def said(answer: HTTPResponse, status: int) -> str:
    assert answer.status_code == status, answer.body
    assert answer.json_body["Code"]
    message: str = answer.json_body["Message"]
    return message


def bomb() -> bytes:
    """600 MB of zeros as gzip has them: 600 KB."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b"0" * 1_000_000) for _ in range(600)), packer.flush()])


BOMB = bomb()
NESTED = b'{"a":' * 600 + b"1" + b"}" * 600
GARBLED = gzip.compress(wire() * 100)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 400, "the body is empty"),
        (b" \n", 400, "the body is empty"),
        (gzip.compress(b""), 400, "the body is empty"),
        (b"[]", 400, "the array is empty"),
        (b"[1, {}]", 400, "event 0 (and 1 more): an event is a JSON object, got a number"),
        (array(wire()) + b"]", 400, "the body is not JSON"),
        (b"[" + wire() + b"," + b'{"serial": }]', 400, "the body is not JSON"),
        (b'["' + b"x" * 1000, 400, "the body is not JSON"),
        (b"{", 400, "not JSON at line 1"),
        (wire() + b"\n" + b"{", 400, "event 1: not JSON"),
        (wire() + wire(), 400, "not JSON at line 1"),
        (b"[" * 5_000, 400, "nested more than 512 deep"),
        (b"[" * 2_900_000, 400, "nested more than 512 deep"),
        (array(NESTED), 400, "nested more than 512 deep"),
        (NESTED, 400, "nested more than 512 deep"),
        (b"[" + b"0," * 1_000_000 + b"0]", 413, "at most 500 events"),
        ((wire() + b"\n") * 501, 413, "at most 500 events"),
        (array(*[wire()] * 501), 413, "at most 500 events"),
        (b" " * 3_000_001, 413, "at most 3,000,000 bytes, got 3,000,001"),
        (gzip.compress(b" " * 6_000_001), 413, "at most 6,000,000 bytes unpacked"),
        (BOMB, 413, "at most 6,000,000 bytes unpacked"),
        (gzip.compress(gzip.compress(wire())), 415, "the body begins with '\\x1f\\x8b"),
        (GARBLED[:-12], 400, "ends too soon"),
        (GARBLED[:40] + b"\0\0\0" + GARBLED[43:], 400, "cannot be unpacked"),
        (GARBLED + b"more", 400, "more follows behind"),
        (wire().decode().encode("utf-16"), 415, "expected JSON"),
        (b'[{"serial": "\xff"}]', 400, "is not UTF-8"),
        (b'{"serial": "\xff"}', 400, "is not UTF-8"),
        (b"<event/>", 415, "the body begins with '<event/>'"),
        (b"serial=SN-1&type=note", 415, "expected JSON"),
        (b'"a text"', 415, "expected JSON"),
        (b'{"type": "EPCISDocument", "epcisBody": {"eventList": []}}', 400, "has no events"),
        (b'{"type": "EPCISDocument", "epcisBody": 7}', 400, "has no eventList"),
        (b'{"@context": []}', 400, "not an EPCIS document"),
    ],
)
def test_a_hostile_body_is_refused_with_a_sentence(
    client: Client, body: bytes, status: int, expected: str
) -> None:
    assert expected in said(post(client, body), status)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 2_900_000, id="brackets"),
        pytest.param(b"[" + b"0," * 1_400_000 + b"0]", id="elements"),
        pytest.param(gzip.compress(b'[{"serial":[' + b"0," * 2_900_000 + b"0]}]"), id="numbers"),
        pytest.param(gzip.compress(b'[{"metadata":{"a":[' + b"[]," * 1_900_000 + b"0]}}]"), id="lists"),
        pytest.param(gzip.compress(b'{"@context":[' + b"{}," * 1_900_000 + b"0]}"), id="epcis"),
        pytest.param(gzip.compress(b'{"eventTime":"' + b'\\"' * 2_900_000 + b'"}'), id="escapes"),
        pytest.param(gzip.compress(b'["' + b'","' * 1_900_000 + b'"]'), id="strings"),
        pytest.param(gzip.compress(b"{}" + b"\n" * 5_900_000 + b"{}"), id="lines"),
        pytest.param(BOMB, id="bomb"),
        pytest.param(b"[" + b",".join([b'{"x":"' + b"y" * 400_000 + b'"}'] * 500) + b"]", id="500 x 400 KB"),
    ],
)
def test_no_body_takes_more_memory_than_a_function_can_spare(client: Client, body: bytes) -> None:
    post(client, b"")  # what is imported for it

    tracemalloc.start()
    try:
        status = post(client, body).status_code
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 400 <= status < 500
    assert peak < MAX_MEMORY_BYTES


@pytest.mark.parametrize(
    ("body", "status"), [(b" " * 3_000_001, 413), ((wire() + b"\n") * 501, 413), (b"<", 415)]
)
def test_a_refusal_is_explained_in_troubleshooting(client: Client, body: bytes, status: int) -> None:
    message = said(post(client, body), status)

    if status == 415:
        assert says("expected JSON: an event", message)
    elif "bytes" in message:
        assert says("a body has at most … bytes", message)
    else:
        assert says("a body has at most … events", message)


@pytest.mark.parametrize("declared", [None, "text/plain;charset=UTF-8", "multipart/form-data; boundary=x"])
def test_where_nobody_needs_a_token_no_page_from_elsewhere_can_send(
    client: Client, declared: str | None
) -> None:
    answer = post(client, wire(), {} if declared is None else {"content-type": declared})

    assert says("without a token the type of the body has to be named", said(answer, 415))


#: What JSON can hold where EPCIS expects something else.
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.just("+01:00"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
field = st.sampled_from(
    sorted({name for fields in schema.FIELDS.values() for name in fields} | {"type", "@context"})
)
document = st.fixed_dictionaries(
    {"type": st.sampled_from(["EPCISDocument", "EPCISQueryDocument", *schema.FIELDS]) | anything},
    optional={
        "@context": anything,
        "sender": anything,
        "eventTime": anything,
        "epcisBody": anything
        | st.fixed_dictionaries(
            {
                "eventList": anything
                | st.lists(
                    anything
                    | st.builds(
                        lambda plain, more: {**plain, **more},
                        st.fixed_dictionaries(
                            {
                                "type": st.sampled_from(sorted(schema.FIELDS)),
                                "eventTime": st.just("2026-01-01T00:00:00Z"),
                                "eventTimeZoneOffset": st.just("+00:00"),
                                "epcList": st.just(["urn:x-lifecycle:serial:SN-1"]),
                            }
                        ),
                        st.dictionaries(field, anything, max_size=3),
                    ),
                    max_size=2,
                )
            }
        ),
    },
)


@given(document=document)
@hypothesis.settings(max_examples=300)
def test_no_epcis_document_is_a_bug(document: dict[str, Any]) -> None:
    """Whatever stands in it, it becomes events or a sentence."""
    data = json.dumps({"@context": [], **document}).encode()

    with contextlib.suppress(RequestError):
        sent, refused = capture.converted(data)
        assert sent or refused
