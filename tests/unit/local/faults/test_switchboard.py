"""Faults as they are written and switched, and what they do to a request, without any process or endpoint."""

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import ConfigurationError
from cli.paths import ROOT
from local.faults import switchboard
from local.faults.functions import Injector
from local.faults.switchboard import Faults, Switchboard, combined, fault
from local.sandbox.outcome import Ending, Outcome

Dynamodb = Callable[[Injector], tuple[Any, list[dict[str, Any]]]]

DONE = Outcome(Ending.OK, b'{"batchItemFailures": []}', "request")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("throttle=0.2", ("throttle", 0.2)),
        ("timeout=0", ("timeout", 0.0)),
        ("crash=0.01", ("crash", 0.01)),
        ("duplicate=0.05", ("duplicate", 0.05)),
        ("outage=10s", ("outage_s", 10.0)),
        ("outage=500ms", ("outage_s", 0.5)),
        ("outage=1.5m", ("outage_s", 90.0)),
        ("handler-bug=SN%3A1".replace("%3A", ":"), ("handler_bug", "SN:1")),
    ],
)
def test_a_fault_is_a_name_and_a_value(written: str, meant: tuple[str, Any]) -> None:
    assert fault(written) == meant


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("throtle=0.2", "expected NAME=VALUE with one of throttle, timeout, crash, duplicate, outage"),
        ("throttle", "expected NAME=VALUE"),
        ("throttle=1", "throttle: expected a share from 0 to 0.9, got '1'"),
        ("crash=-0.1", "crash: expected a share from 0 to 0.9, got '-0.1'"),
        ("crash=nan", "crash: expected a share from 0 to 0.9, got 'nan'"),
        ("duplicate=often", "duplicate: expected a share from 0 to 0.9, got 'often'"),
        ("outage=10", "outage: expected a duration such as 500ms, 10s or 2m, from 1ms to 60m, got '10'"),
        ("outage=0s", "outage: expected a duration"),
        ("outage=61m", "outage: expected a duration"),
        ("handler-bug=", "handler-bug: expected a product's serial, got ''"),
        ("handler-bug=a b", "handler-bug: expected a product's serial, got 'a b'"),
    ],
)
def test_what_is_no_fault_is_refused_with_what_was_expected(written: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        fault(written)


@given(st.text().filter(lambda text: text.partition("=")[0] not in switchboard.NAMES))
def test_no_text_is_refused_otherwise_than_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        fault(text)


def test_a_fault_said_twice_is_refused_and_products_add_up() -> None:
    assert combined([("handler_bug", "a"), ("crash", 0.1), ("handler_bug", "b")]) == Faults(
        crash=0.1, handler_bug=("a", "b")
    )
    with pytest.raises(ConfigurationError, match="--fault outage is given twice"):
        combined([("outage_s", 1.0), ("outage_s", 2.0)])


def test_every_fault_is_announced_and_no_other() -> None:
    everything = Faults(
        throttle=0.1, timeout=0.1, crash=0.1, duplicate=0.1, outage_s=1, handler_bug=("SN-1",)
    )

    assert len(switchboard.described(everything)) == len(switchboard.NAMES)
    assert switchboard.described(Faults()) == []
    assert "their time-out is 5 s here" in " ".join(switchboard.described(Faults(timeout=0.5)))


def test_an_answer_that_is_lost_makes_the_mapping_deliver_again(tmp_path: Path) -> None:
    board = Switchboard(tmp_path, Faults(duplicate=0.5), seed=1)
    deliver = board.deliver(lambda _: DONE)

    endings = [deliver(b"{}").ending for _ in range(400)]

    lost = endings.count(Ending.UNDELIVERED)
    assert 150 < lost < 250
    assert set(endings) == {Ending.OK, Ending.UNDELIVERED}
    assert board.counts() == {"redelivered": lost}


def test_the_same_seed_loses_the_same_answers(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> list[Ending]:
        deliver = Switchboard(tmp_path / name, Faults(duplicate=0.3), seed=seed).deliver(lambda _: DONE)
        return [deliver(b"{}").ending for _ in range(50)]

    assert run("a", 1) == run("b", 1) != run("c", 2)


def test_what_failed_is_not_called_a_lost_answer(tmp_path: Path) -> None:
    failed = Outcome(Ending.CRASH, b"{}", "request")
    deliver = Switchboard(tmp_path, Faults(duplicate=0.9), seed=1).deliver(lambda _: failed)

    assert {deliver(b"{}") for _ in range(20)} == {failed}


def test_an_outage_begins_once_shortly_after_the_stream_moves(tmp_path: Path) -> None:
    now = [100.0]
    board = Switchboard(tmp_path, Faults(outage_s=10), seed=1, clock=lambda: now[0])
    assert switchboard.read(tmp_path).outage_until == 0

    deliver = board.deliver(lambda _: DONE)
    deliver(b"{}")
    now[0] = 200.0
    deliver(b"{}")

    state = switchboard.read(tmp_path)
    assert (state.outage_from, state.outage_until) == (100.3, 110.3)


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
    board.deliver(lambda _: DONE)(b"{}")

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


def test_workers_count_themselves(tmp_path: Path) -> None:
    assert [switchboard.ordinal(tmp_path) for _ in range(3)] == [1, 2, 3]


def test_the_deployed_code_knows_nothing_of_faults() -> None:
    root = ROOT
    for path in [root / "app.py", *(root / "chalicelib").rglob("*.py")]:
        assert switchboard.DIRECTORY_VARIABLE not in path.read_text()


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


def test_a_board_is_never_read_half_written(tmp_path: Path) -> None:
    board = Switchboard(tmp_path, seed=1)
    rng = random.Random(1)

    for _ in range(200):
        wanted = Faults(throttle=rng.random(), handler_bug=("x" * rng.randrange(100),))
        board.switch(wanted)
        assert switchboard.read(tmp_path).faults == wanted
        assert msgspec.json.decode((tmp_path / "board.json").read_bytes())["seed"] == 1
