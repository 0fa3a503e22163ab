"""What faults do to a function and its requests to DynamoDB, without any process or endpoint."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from local.faults.functions import Injector
from local.faults.switchboard import Faults, Switchboard
from local.sandbox.outcome import Ending, Outcome

Dynamodb = Callable[[Injector], tuple[Any, list[dict[str, Any]]]]


def test_a_switched_fault_reaches_a_worker_that_runs(tmp_path: Path, dynamodb: Dynamodb) -> None:
    board = Switchboard(tmp_path, seed=1)
    client, sent = dynamodb(Injector("process_lifecycle", tmp_path))
    client.get_item(TableName="t", Key={"serial": {"S": "s"}})

    board.switch(Faults(throttle=0.9))
    refused = _tries(lambda: client.get_item(TableName="t", Key={"serial": {"S": "s"}}), 50)
    board.switch(Faults())
    after = _tries(lambda: client.get_item(TableName="t", Key={"serial": {"S": "s"}}), 50)

    assert refused.count("ProvisionedThroughputExceededException") > 30
    assert after == ["ok"] * 50
    assert len(sent) == 1 + refused.count("ok") + 50


def test_during_an_outage_nothing_reaches_dynamodb_and_everything_does_afterwards(
    tmp_path: Path, dynamodb: Dynamodb
) -> None:
    now = [100.0]
    board = Switchboard(tmp_path, Faults(outage_s=10), seed=1, clock=lambda: now[0])
    client, sent = dynamodb(Injector("process_lifecycle", tmp_path, clock=lambda: now[0]))
    board.deliver(lambda _: Outcome(Ending.OK, b"{}", "request"))(b"{}")

    now[0] = 105.0
    down = _tries(lambda: client.get_item(TableName="t", Key={"serial": {"S": "s"}}), 30)
    assert set(down) == {"EndpointConnectionError", "InternalServerError"}
    assert sent == []

    now[0] = 110.4
    assert _tries(lambda: client.get_item(TableName="t", Key={"serial": {"S": "s"}}), 3) == ["ok"] * 3


def test_items_left_unprocessed_are_those_that_were_not_sent(tmp_path: Path, dynamodb: Dynamodb) -> None:
    Switchboard(tmp_path, Faults(throttle=0.9), seed=1)
    client, sent = dynamodb(Injector("process_lifecycle", tmp_path))
    puts = [{"PutRequest": {"Item": {"serial": {"S": str(number)}}}} for number in range(25)]

    partly = refused_whole = 0
    for _ in range(60):
        del sent[:]
        try:
            answer = client.batch_write_item(RequestItems={"t": puts})
        except client.exceptions.ProvisionedThroughputExceededException:
            refused_whole += 1
            assert sent == []
            continue
        left = answer.get("UnprocessedItems", {}).get("t", [])
        assert sent[0]["RequestItems"]["t"] + left == puts
        partly += bool(left)

    assert partly > 10
    assert refused_whole > 10


@pytest.mark.parametrize("share", ["crash", "timeout"])
def test_a_strike_comes_before_one_of_the_requests_or_before_the_answer(
    tmp_path: Path, share: str, dynamodb: Dynamodb
) -> None:
    Switchboard(tmp_path, Faults(**{share: 0.5}), seed=1)
    struck: list[int] = []
    requests: list[int] = []

    def strike() -> None:
        struck.append(len(requests))

    injector = Injector("process_lifecycle", tmp_path, die=strike, hang=strike)
    client, _ = dynamodb(injector)

    def handler(event: Any, context: Any) -> str:
        for number in range(4):
            client.get_item(TableName="t", Key={"serial": {"S": "s"}})
            requests.append(number)
        return "answer"

    for _ in range(100):
        del requests[:]
        assert injector.around(handler)({"Records": [{}] * 100}, None) == "answer"

    assert 30 < len(struck) < 70
    assert set(struck) == {0, 1, 2, 3, 4}


def test_a_request_that_hangs_takes_its_handler_with_it(tmp_path: Path, dynamodb: Dynamodb) -> None:
    """The handler would report what is unfinished otherwise, and end in time."""
    Switchboard(tmp_path, Faults(timeout=0.5), seed=1)
    hung: list[int] = []
    injector = Injector("process_lifecycle", tmp_path, hang=lambda: hung.append(threading.get_ident()))
    client, _ = dynamodb(injector)

    def handler(event: Any, context: Any) -> None:
        with ThreadPoolExecutor(1) as writer:
            writer.submit(client.get_item, TableName="t", Key={"serial": {"S": "s"}}).result()

    for _ in range(100):
        injector.around(handler)({"Records": [{}]}, None)
        if hung and hung[0] != threading.get_ident():  # before the request, and not before the answer
            break
        del hung[:]

    assert hung[1:] == [threading.get_ident()]


def test_triage_is_never_struck(tmp_path: Path) -> None:
    Switchboard(tmp_path, Faults(crash=0.9), seed=1)
    struck: list[int] = []
    injector = Injector("triage_dead_letters", tmp_path, die=lambda: struck.append(1))

    for _ in range(50):
        injector.around(lambda event, context: None)({"Records": [{}]}, None)

    assert struck == []


@pytest.fixture
def dynamodb() -> Iterator[Dynamodb]:
    """Makes a client behind the faults, and a list of what has come through to DynamoDB.

    What plays DynamoDB answers everything with an empty object: the wire is real.
    """
    sent: list[dict[str, Any]] = []
    clients: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet: two would wait for a delayed acknowledgement

        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response_only(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def make(injector: Injector) -> tuple[Any, list[dict[str, Any]]]:
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1"
        )
        injector.attach(session.events)
        client = session.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )
        clients.append(client)
        return client, sent

    yield make
    for client in clients:
        client.close()
    server.shutdown()
    thread.join()
    server.server_close()


def _tries(call: Callable[[], object], times: int) -> list[str]:
    said = []
    for _ in range(times):
        try:
            call()
        except ClientError as exc:
            said.append(exc.response["Error"]["Code"])
        except EndpointConnectionError:
            said.append("EndpointConnectionError")
        else:
            said.append("ok")
    return said
