"""`POST /events`: what is taken, what is refused, and that sending again is always safe."""

import base64
import gzip
import json
import os
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError
from chalice.test import Client, HTTPResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
import chalicelib.settings
from chalicelib import wiring
from chalicelib.api import auth, capture_body
from chalicelib.domain import events
from tests.support import faults, shards, tokens
from tests.support.headings import says
from tests.support.lambda_events import batch, wire
from tests.support.tokens import bearer

JSON = {"content-type": "application/json"}

EPCIS = {
    "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
    "type": "EPCISDocument",
    "schemaVersion": "2.0",
    "creationDate": "2026-01-01T00:00:00Z",
    "epcisBody": {
        "eventList": [
            {
                "type": "ObjectEvent",
                "eventTime": "2026-01-01T00:00:00Z",
                "eventTimeZoneOffset": "+00:00",
                "epcList": ["urn:x-lifecycle:serial:SN-1", "urn:x-lifecycle:serial:SN-2"],
                "action": "ADD",
                "bizStep": "commissioning",
            }
        ]
    },
}


def post(client: Client, body: bytes, headers: dict[str, str] = JSON) -> HTTPResponse:
    return client.http.post("/events", headers=dict(headers), body=body)


def on_stream() -> list[tuple[str, bytes]]:
    """Every record of the stage's stream: partition key and data."""
    kinesis: Any = boto3.client("kinesis")
    name = chalicelib.settings.stream_name()
    return [
        (record["PartitionKey"], record["Data"])
        for shard in shards.shards(kinesis, name)
        for record in shards.read(kinesis, name, shard["ShardId"]).records
    ]


def array(*data: bytes) -> bytes:
    return b"[" + b",".join(data) + b"]"


def said(answer: HTTPResponse, status: int) -> str:
    assert answer.status_code == status, answer.body
    assert answer.json_body["Code"]
    message: str = answer.json_body["Message"]
    return message


SPACED = (
    b'{ "serial":"SN-1", "type" : "note","occurred_at":"2026-01-01T00:00:00+01:00", "metadata":{"n":1.10}}'
)


@pytest.mark.parametrize(
    "body",
    [
        array(wire("SN-2"), b"  " + SPACED + b"\n"),
        wire("SN-2") + b"\n" + SPACED,
        b"\r\n" + wire("SN-2") + b"\r\n\r\n" + SPACED + b"\r\n",
        gzip.compress(array(wire("SN-2"), SPACED)),
        b"\xef\xbb\xbf" + array(wire("SN-2"), SPACED),
    ],
)
def test_events_go_onto_the_stream_in_the_bytes_they_came_in(client: Client, body: bytes) -> None:
    answer = post(client, body)

    assert answer.status_code == 202, answer.body
    assert sorted(on_stream()) == sorted([("SN-2", wire("SN-2")), ("SN-1", SPACED)])
    assert answer.json_body == {
        "accepted": 2,
        "events": [
            {"serial": "SN-2", "position": events.decode(wire("SN-2")).position},
            {"serial": "SN-1", "position": events.decode(SPACED).position},
        ],
        "unknown_types": {},
    }


def test_one_event_over_several_lines_is_one_event(client: Client) -> None:
    pretty = json.dumps(json.loads(SPACED), indent=2).encode()

    assert post(client, pretty).json_body["accepted"] == 1
    assert on_stream() == [("SN-1", pretty)]


def test_a_caller_finds_an_event_where_the_answer_says(client: Client) -> None:
    (told,) = post(client, SPACED).json_body["events"]
    client.lambda_.invoke("process_lifecycle", batch(data for _, data in on_stream()))

    (shown,) = client.http.get(f"/products/{told['serial']}/events").json_body["events"]

    assert shown["position"] == told["position"]
    assert shown["metadata"] == {"n": 1.10}


def test_an_epcis_document_becomes_events(client: Client) -> None:
    answer = post(client, json.dumps(EPCIS, indent=1).encode(), {"content-type": "application/ld+json"})

    assert [each["serial"] for each in answer.json_body["events"]] == ["SN-1", "SN-2"]
    sent = [events.decode(data) for _, data in on_stream()]
    assert sorted((event.serial, event.type) for event in sent) == [
        ("SN-1", "production"),
        ("SN-2", "production"),
    ]


def test_what_of_an_epcis_document_makes_no_event_is_named_and_nothing_is_sent(client: Client) -> None:
    (event,) = EPCIS["epcisBody"]["eventList"]  # type: ignore[index]
    broken = {**EPCIS, "epcisBody": {"eventList": [event, {**event, "epcList": [7]}]}}

    answer = post(client, json.dumps(broken).encode())

    assert said(answer, 400).startswith("nothing was sent: event 1: epcList: ")
    assert on_stream() == []


def test_unknown_types_are_named_with_counts_and_sent(client: Client) -> None:
    answer = post(client, array(wire(type="productoin"), wire("SN-2", "productoin"), wire(type="theft")))

    assert answer.status_code == 202
    assert answer.json_body["unknown_types"] == {"productoin": 2}
    assert len(on_stream()) == 3


def test_if_one_event_cannot_be_stored_none_is_sent_and_each_is_named(client: Client) -> None:
    large = wire("SN-3", metadata={"x": "y" * 500_000})

    answer = post(client, array(wire(), wire("SN 2"), wire(colour="red"), large))

    assert says("nothing was sent: event …", said(answer, 400))
    assert [each["index"] for each in answer.json_body["errors"]] == [1, 2, 3]
    assert "`serial`: expected 1 to 128 of" in answer.json_body["errors"][0]["message"]
    assert answer.json_body["errors"][1]["message"] == "'colour': no such field in an event"
    assert "the item would have" in answer.json_body["errors"][2]["message"]
    assert on_stream() == []


def test_a_body_is_judged_by_its_first_bytes_whatever_the_headers_say(client: Client) -> None:
    del os.environ["LIFECYCLE_OPEN"]
    token = bearer(tokens.make(scopes=(auth.WRITE,)))
    for declared in (None, "text/plain", "application/xml", "application/x-www-form-urlencoded", "?"):
        for body in (wire(), gzip.compress(wire())):
            headers = token if declared is None else {**token, "content-type": declared}
            assert post(client, body, headers).status_code == 202
    wrong = {**token, **JSON, "content-encoding": "gzip", "idempotency-key": "k"}
    assert post(client, wire(), wrong).status_code == 202


def test_binary_bodies_arrive_in_base64_from_api_gateway(client: Client) -> None:
    answer = post(client, gzip.compress(wire()), {"content-type": "application/gzip"})

    assert answer.status_code == 202
    event = {
        "requestContext": {"httpMethod": "POST", "resourcePath": "/events", "path": "/events"},
        "headers": JSON,
        "multiValueQueryStringParameters": None,
        "pathParameters": {},
        "stageVariables": {},
        "body": base64.b64encode(gzip.compress(wire())).decode(),
        "isBase64Encoded": True,
    }
    assert app.app(event, None)["statusCode"] == 202
    assert app.app({**event, "body": "\ud800", "isBase64Encoded": False}, None)["statusCode"] == 400


def test_reporting_needs_the_scope_and_reaches_only_a_tokens_products(client: Client) -> None:
    del os.environ["LIFECYCLE_OPEN"]
    reader = bearer(tokens.make("reader"))
    dealer = bearer(tokens.make("dealer", scopes=(auth.WRITE,), prefixes=("SN-1",)))

    assert post(client, wire()).status_code == 401
    assert said(post(client, wire(), reader), 403) == "the token reader may not report events"
    assert post(client, wire("SN-17"), dealer).status_code == 202
    refused = said(post(client, array(wire("SN-17"), wire("SN-2")), dealer), 403)
    assert refused.startswith("event 1: the token dealer does not reach this product")
    assert refused.endswith("; nothing was sent")
    assert on_stream() == [("SN-17", wire("SN-17"))]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "CAPTURE_S", 0.4)


def dropped(_: dict[str, Any]) -> Any:
    raise ConnectionClosedError(endpoint_url="http://stream")


def dropped_behind(request: dict[str, Any]) -> Any:
    """The records are on the stream, and their sender does not hear of it."""
    _put(request["Records"])
    return dropped(request)


def half_taken(request: dict[str, Any]) -> Any:
    """Every other record is refused."""
    records = request["Records"]
    _put(records[::2])
    results = [
        {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
        if number % 2
        else {"SequenceNumber": "1", "ShardId": "s"}
        for number in range(len(records))
    ]
    return faults.answered(200, {"FailedRecordCount": len(records) // 2, "Records": results})


def broken(_: dict[str, Any]) -> Any:
    return faults.error("InternalFailure", status=500)


def denied(_: dict[str, Any]) -> Any:
    return faults.error("AccessDeniedException", "User: arn:aws:iam::1:role/x", status=400)


def _put(records: list[dict[str, Any]]) -> None:
    boto3.client("kinesis").put_records(
        StreamName=chalicelib.settings.stream_name(),
        Records=[
            {"Data": base64.b64decode(each["Data"]), "PartitionKey": each["PartitionKey"]} for each in records
        ],
    )


@given(
    script=st.lists(
        st.sampled_from([dropped, dropped_behind, half_taken, broken, denied]), min_size=1, max_size=6
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_sent_again_at_every_point_of_failure_nothing_is_lost_and_nothing_doubled(
    client: Client, impatient: None, script: list[Any]
) -> None:
    script = list(script)
    serial = f"SN-{os.urandom(6).hex()}"
    sent = [wire(serial, "note", f"2026-01-01T00:00:{second:02}Z") for second in range(7)]

    def answer(request: dict[str, Any]) -> Any:
        return script.pop(0)(request) if script else None

    faults.on_stream(answer)
    for _ in range(20):
        told = post(client, array(*sent))
        assert told.status_code in (202, 503)
        if told.status_code == 202:
            break
        assert told.headers["Retry-After"] == "5"
        assert says("the stream did not take all events in time", told.json_body["Message"])
        assert "arn:" not in told.body.decode()
    arrived = [data for key, data in on_stream() if key == serial]
    client.lambda_.invoke("process_lifecycle", batch(arrived))

    kept = client.http.get(f"/products/{serial}/events?order=asc").json_body["events"]
    assert set(arrived) == set(sent)
    assert [each["position"] for each in kept] == [events.decode(data).position for data in sent]
    assert [each["position"] for each in told.json_body["events"]] == [each["position"] for each in kept]


def test_only_what_was_refused_is_sent_again(client: Client) -> None:
    answers = iter([half_taken, half_taken])
    seen = faults.on_stream(lambda request: next(answers, lambda _: None)(request))

    assert post(client, array(*(wire(f"SN-{n}") for n in range(8)))).status_code == 202

    assert [len(request["Records"]) for request in seen] == [8, 4, 2]
    assert len(on_stream()) == 8


def test_who_may_not_write_to_the_stream_is_told_at_once(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = faults.on_stream(denied)

    assert post(client, wire()).status_code == 503
    assert len(seen) == 1
    (line,) = [json.loads(each) for each in capsys.readouterr().out.splitlines() if '"request"' in each]
    assert "AccessDeniedException" in line["because"]


def test_more_than_a_request_of_kinesis_holds_goes_in_several(client: Client) -> None:
    seen = faults.on_stream(lambda _: None)
    body = gzip.compress(array(*(wire(f"SN-{n}", metadata={"x": "y" * 380_000}) for n in range(15))), 1)

    assert post(client, body).status_code == 202
    assert len(seen) == 2
    assert len(on_stream()) == 15


def test_the_limits_hold_together() -> None:
    # Lambda takes 6 MB (6,291,556 bytes), and a body may reach it in Base64.
    assert capture_body.MAX_RECEIVED_BYTES * 4 / 3 < 6_291_556 - 100_000
    assert app.CAPTURE_S + 4 < 25
    assert wiring.WRITE_TIMEOUT_S + wiring.CONNECT_TIMEOUT_S < 6
