"""`ops history` and `ops tail` on a real stage."""

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice

import boto3
import pytest
from chalice.test import Client

from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from cli.paths import ROOT
from ops import clients
from ops.records import tail
from tests.support.aggregates import aggregated
from tests.support.lambda_events import batch, wire
from tests.support.operators import Operator
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def ops(stage: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    yield Operator(capsys)
    clients.reset()


def put(stage: str, *data: bytes) -> None:
    boto3.client("kinesis").put_records(
        StreamName=f"lifecycle-{stage}-events",
        Records=[{"Data": each, "PartitionKey": "SN-1"} for each in data],
    )


def examples_of(noun: str) -> list[list[str]]:
    """The examples at the end of a noun's help, as arguments of `python -m ops`."""
    lines = importlib.import_module(f"ops.records.{noun}").EXAMPLES.splitlines()
    return [shlex.split(line)[3:] for line in lines if line.startswith("  python -m ops ")]


def follow(stage: str, *arguments: str) -> "subprocess.Popen[str]":
    """`ops tail` as a process of its own, its output a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "ops", "tail", *arguments],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            "LIFECYCLE_STAGE": "local",
            "LIFECYCLE_STREAM": f"lifecycle-{stage}-events",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_products_story_is_printed(client: Client, ops: Operator) -> None:
    history = [
        wire("SN-1", "production", "2026-01-01T00:00:00Z", source="plant-7"),
        wire("SN-1", "retirement", "2026-01-02T00:00:00Z"),
        wire("SN-1", "service", "2026-01-03T00:00:00+01:00", metadata={"note": "\x1b[2J"}),
    ]
    client.lambda_.invoke("process_lifecycle", batch(history))

    code, out, _ = ops("history", "SN-1")

    assert code == EXIT_OK
    first, odd, _, *rows = out.splitlines()
    assert first == "SN-1 is retired since 2026-01-02T00:00:00Z"
    assert odd.startswith("odd: service while retired")
    assert [row.split()[1] for row in rows] == ["service", "retirement", "production"]
    assert "\x1b" not in out


def test_the_json_is_what_the_api_answers(client: Client, ops: Operator) -> None:
    client.lambda_.invoke("process_lifecycle", batch([wire("SN-1", metadata={"n": 1})]))

    code, out, _ = ops("history", "SN-1", "--json")

    assert code == EXIT_OK
    assert json.loads(out) == client.http.get("/products/SN-1").json_body


def test_the_examples_of_history_work(client: Client, ops: Operator) -> None:
    by_serial, by_epc = "SN-4F7K2M9Q", "gs1:01:10614141073464:21:S77"
    client.lambda_.invoke("process_lifecycle", batch([wire(by_serial), wire(by_epc)]))
    examples = examples_of("history")

    assert len(examples) >= 3
    for example in examples:
        code, out, err = ops(*example)
        assert (code, err) == (EXIT_OK, ""), example
        assert (by_serial if by_serial in example else by_epc) in out


@pytest.mark.parametrize(
    ("serial", "code", "sentence"),
    [
        ("SN-2", EXIT_FAILED, "error: no history for product 'SN-2'"),
        ("S N", EXIT_USAGE, "error: serial: expected 1 to 128"),
        ("(01)10614141073464", EXIT_USAGE, "error: serial: '(01)10614141073464': names a class"),
    ],
)
def test_what_is_not_there_is_a_sentence(ops: Operator, serial: str, code: int, sentence: str) -> None:
    found, out, err = ops("history", serial)

    assert (found, out) == (code, "")
    assert err.startswith(sentence)


def test_the_stream_is_followed_decoded(stage: str, ops: Operator) -> None:
    put(stage, wire("SN-1", "theft", metadata={"n": 1}), b"not json")

    code, out, _ = ops("tail", "--since", "1h", "--limit", "2")

    theft, poison = out.splitlines()
    assert code == EXIT_OK
    assert theft.endswith("SN-1  theft  2026-01-01T00:00:00Z")
    assert poison.endswith("SN-1  no event: not_json: not JSON at line 1 column 1: Expecting value")


def test_the_records_of_an_aggregate_are_followed_and_so_is_its_flaw(stage: str, ops: Operator) -> None:
    put(stage, aggregated(wire("SN-1"), wire("SN-2"))[:-1], aggregated(wire("SN-1"), wire("SN-2")))

    _, out, _ = ops("tail", "--since", "1h", "--limit", "3")
    _, as_json, _ = ops("tail", "--since", "1h", "--limit", "1", "--json")

    damaged, *events = out.splitlines()
    assert [line.split()[1] for line in events] == ["SN-1", "SN-2"]
    assert "no event: invalid_aggregate: the aggregate's checksum is wrong" in damaged
    assert json.loads(as_json)["reason"] == "invalid_aggregate"


def test_followed_as_json_numbers_stay_as_they_were_sent(stage: str, ops: Operator) -> None:
    put(stage, wire("SN-1").replace(b"}", b',"metadata":{"n":1.10}}'))

    _, out, _ = ops("tail", "--since", "1h", "--limit", "1", "--json")

    assert '"metadata":{"n":1.10}' in out
    assert json.loads(out)["event"]["serial"] == "SN-1"


def test_what_comes_in_later_is_followed_too(stage: str) -> None:
    kinesis = boto3.client("kinesis")
    put(stage, wire("SN-1"))
    following = tail.follow(kinesis, f"lifecycle-{stage}-events", 1)

    assert [record.data for record in islice(following, 1)] == [wire("SN-1")]
    put(stage, wire("SN-2"))
    assert next(following).data == wire("SN-2")


def test_the_examples_of_tail_work(stage: str) -> None:
    examples = examples_of("tail")
    running = [(example, follow(stage, *example[1:])) for example in examples]

    def end() -> None:
        for _, process in running:
            process.kill()

    overdue = threading.Timer(PATIENCE_S, end)
    overdue.start()
    kinesis = boto3.client("kinesis")
    sending = threading.Event()

    def send() -> None:  # those without --since see what comes in after they have begun
        while not sending.wait(0.2):
            kinesis.put_records(
                StreamName=f"lifecycle-{stage}-events",
                Records=[{"Data": wire("SN-1"), "PartitionKey": "SN-1"}] * 50,
            )

    sender = threading.Thread(target=send)
    sender.start()

    assert len(examples) >= 3
    try:
        for example, process in running:
            assert process.stdout is not None
            assert process.stderr is not None
            first = process.stdout.readline()
            if "--limit" not in example:
                process.send_signal(signal.SIGINT)
            lines = [first, *process.stdout]
            assert process.stderr.read() == "", example
            assert all("SN-1" in line for line in lines)
            if "--limit" in example:
                assert (process.wait(), len(lines)) == (EXIT_OK, int(example[-1]))
            else:
                assert process.wait() == EXIT_INTERRUPTED
    finally:
        sending.set()
        sender.join()
        overdue.cancel()
        end()
        for _, process in running:
            process.communicate()


def test_a_stream_that_is_not_there_is_a_sentence(ops: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_STREAM", "nowhere")

    code, _, err = ops("tail")

    assert code == EXIT_UNAVAILABLE
    assert err.startswith("error: there is no stream nowhere; ")


def test_a_pipe_gets_each_line_at_once_and_ctrl_c_ends_it_without_a_word(stage: str) -> None:
    put(stage, wire("SN-1"))
    following = follow(stage, "--since", "1h")
    assert following.stdout is not None
    overdue = threading.Timer(PATIENCE_S, following.kill)
    overdue.start()
    first = following.stdout.readline()
    overdue.cancel()

    following.send_signal(signal.SIGINT)
    rest, errors = following.communicate(timeout=PATIENCE_S)

    assert "SN-1" in first, errors
    assert (following.returncode, rest, errors) == (EXIT_INTERRUPTED, "", "")
