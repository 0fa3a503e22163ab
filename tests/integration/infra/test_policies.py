"""Policies against what the functions really call: enough, and nothing more.

That they are enough on AWS's own terms, conditions of the platform included, is shown by the e2e tests on an
endpoint that enforces IAM; here every call on the wire is held against the table, in both directions.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from chalice.test import Client

from chalicelib import settings, wiring
from ops.deploy import policies
from tests.support import tokens
from tests.support.dead_letters import Stream, sqs_event
from tests.support.lambda_events import batch, wire
from tests.support.waiting import eventually

_SERVICES = {"DynamoDB_20120810": "dynamodb", "Kinesis_20131202": "kinesis"}

Call = tuple[str, str]  # action, resource


class Recorder:
    """Notes what goes over the wire while a function runs."""

    def __init__(self) -> None:
        self.calls: dict[str, set[Call]] = {function: set() for function in policies.TABLE}
        self._function: str | None = None

    @contextmanager
    def of(self, function: policies.Function) -> Iterator[None]:
        self._function = function
        try:
            yield
        finally:
            self._function = None

    def note(self, request: AWSPreparedRequest, **_: Any) -> None:
        if self._function is None:
            return
        api, _, operation = request.headers["X-Amz-Target"].decode().partition(".")
        service = _SERVICES[api]
        body = json.loads(request.body)
        for resource in _resources(service, body):
            self.calls[self._function].add((f"{service}:{operation}", resource))


def _resources(service: str, body: dict[str, Any]) -> list[str]:
    if service == "kinesis":
        # GetRecords names an iterator, which GetShardIterator has made for a stream.
        return [f"arn:aws:kinesis:eu-west-1:0:stream/{body.get('StreamName', settings.stream_name())}"]
    names = [body["TableName"]] if "TableName" in body else list(body["RequestItems"])
    return [f"arn:aws:dynamodb:eu-west-1:0:table/{name}" for name in names]


@pytest.fixture
def recorder(stage: str) -> Recorder:
    recorder = Recorder()
    wiring.reset()
    wiring.session().register("before-send", recorder.note)
    return recorder


def test_every_call_is_allowed_and_every_allowed_call_is_made(
    client: Client, stage: str, recorder: Recorder
) -> None:
    os.environ["LIFECYCLE_PARTIAL_RESPONSES"] = "on"
    stream = Stream()
    numbers = stream.put([*(wire("SN-1", "note", metadata={"n": n}) for n in range(1200)), b"no event"])
    letter = sqs_event(stream.dead_letter(numbers))
    large = b"x" * 500_000  # takes several items in quarantine

    with recorder.of("process_lifecycle"):
        client.lambda_.invoke("process_lifecycle", batch([wire(), b"no event", large]))
    with recorder.of("triage_dead_letters"):
        client.lambda_.invoke("triage_dead_letters", letter)
    del os.environ["LIFECYCLE_OPEN"]
    headers = tokens.bearer(tokens.make(scopes=("read", "write")))
    with recorder.of("api_handler"):
        for path in ("/products/SN-1", "/products/SN-1/events?type=note", "/health"):
            assert client.http.get(path, headers=headers).status_code == 200
        assert client.http.post("/events", headers=headers, body=wire()).status_code == 202
        assert eventually(lambda: next(tokens.access().tokens()).last_seen is not None)

    for function, calls in recorder.calls.items():
        patterns = policies.arns(function, stage)
        granted = {
            (action, patterns[grant.resource])
            for grant in policies.TABLE[function]
            if grant.by == "code"
            for action in grant.actions
        }
        assert {call for call in calls if not _is_allowed(call, granted)} == set(), function
        assert {each for each in granted if not any(_is_allowed(call, {each}) for call in calls)} == set(), (
            function
        )


def _is_allowed(call: Call, granted: set[Call]) -> bool:
    return any(call[0] == action and fnmatchcase(call[1], pattern) for action, pattern in granted)
