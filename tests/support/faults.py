"""DynamoDB answering as it does on a bad day, for tests on a real endpoint that has none.

The answers are put in at botocore's own `before-send` hook, so everything of ours and of botocore's runs
as it would: what is replaced is the wire.
"""

import json
from collections.abc import Callable
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from chalicelib import wiring

Answer = Callable[[dict[str, Any]], AWSResponse | None]


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Any:
        yield self._content


def answered(status: int, body: dict[str, Any]) -> AWSResponse:
    """A response of DynamoDB's."""
    return said(status, json.dumps(body).encode())


def said(status: int, body: bytes) -> AWSResponse:
    """A response of somebody's, with this in it."""
    return AWSResponse("http://dynamodb", status, {"x-amzn-requestid": "test"}, _Body(body))


def error(code: str, message: str = "", status: int = 400) -> AWSResponse:
    """An error of DynamoDB's."""
    return answered(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message})


def on(client: Any, operation: str, answer: Answer) -> list[dict[str, Any]]:
    """Let `answer` see each request of this operation first; None lets it through.

    Returns the list that the requests' bodies are appended to.
    """
    seen: list[dict[str, Any]] = []

    def before_send(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        body = json.loads(request.body)
        seen.append(body)
        return answer(body)

    client.meta.events.register(f"before-send.dynamodb.{operation}", before_send)
    return seen


def on_stream(answer: Answer) -> list[dict[str, Any]]:
    """Let `answer` see each PutRecords of the deployed code's clients first, those built from now on."""
    seen: list[dict[str, Any]] = []

    def before_send(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        body = json.loads(request.body)
        seen.append(body)
        return answer(body)

    wiring.reset()
    wiring.session().register("before-send.kinesis.PutRecords", before_send)
    return seen


def first(times: int, response: Callable[[], AWSResponse]) -> Answer:
    """The first `times` requests get this response, all later ones go through."""
    left = iter(range(times))

    def answer(_: dict[str, Any]) -> AWSResponse | None:
        return response() if next(left, None) is not None else None

    return answer
