"""`python -m producer send` against the real endpoint."""

import json
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import boto3
import pytest

from chalicelib.domain import events
from chalicelib.errors import InvalidEventError
from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_UNAVAILABLE
from cli.paths import ROOT
from producer.__main__ import EXAMPLES, main
from producer.limits import MAX_RECORDS
from tests.support import shards
from tests.support.headings import says
from tests.support.waiting import PATIENCE_S, eventually

EVENT = '{"sn":"P-1","type":"Theft","timestamp":"2026-01-01T00:00:00Z","price":1.10}\n'


@pytest.fixture
def stream(aws: str) -> Iterator[str]:
    """A stream of this test's own, which commands find without being told."""
    kinesis = boto3.client("kinesis")
    with shards.made(kinesis, 4) as name:
        os.environ["LIFECYCLE_STREAM"] = name
        os.environ["LIFECYCLE_STAGE"] = "local"
        yield name
    kinesis.close()


def on_stream(name: str) -> list[bytes]:
    """The data of every record."""
    kinesis = boto3.client("kinesis")
    found = [
        record["Data"]
        for shard in shards.shards(kinesis, name)
        for record in shards.read(kinesis, name, shard["ShardId"]).records
    ]
    kinesis.close()
    return found


def event_of(data: bytes) -> events.Event | None:
    try:
        return events.decode(data)
    except InvalidEventError:
        return None


def start(*options: str, **more: Any) -> Popen[str]:
    command = [sys.executable, "-m", "producer", "send", *options]
    return Popen(command, cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True, **more)


def wait_for_records(name: str, count: int) -> None:
    assert eventually(lambda: len(on_stream(name)) >= count)


def piped(name: str) -> Popen[str]:
    """A command that has sent what came through its pipe, which is open still."""
    sending = start("--from", "-", "--json", stdin=PIPE)
    assert sending.stdin is not None
    sending.stdin.write('{"serial":"P-1","type":"note","occurred_at":"2026-01-01T00:00:00Z"}\n')
    sending.stdin.flush()
    wait_for_records(name, 1)
    return sending


def test_what_the_summary_says_is_what_lies_on_the_stream(
    stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--events 1500 --products 60 --duplicates 0.1 --poison 5 --shuffle --json"
    code = main(["send", *options.split()])

    out, err = capsys.readouterr()
    summary = json.loads(out)
    data = on_stream(stream)
    assert (code, err) == (EXIT_OK, "")
    assert summary["stream"] == stream
    assert summary["sent"] == len(data) == 1505 + summary["duplicates"]
    assert (summary["events"], summary["poison"]) == (1500, 5)
    assert 90 < summary["duplicates"] < 220
    assert (summary["retried"], summary["rejected"], summary["unsent"], summary["skipped"]) == (0, 0, 0, 0)
    assert summary["shards"] == 4
    assert summary["events_per_second"] > 0
    assert any(summary["example"].encode() in each for each in data)
    positions = {decoded.position for each in data if (decoded := event_of(each)) is not None}
    # The oversized record is a valid event: only DynamoDB refuses it.
    assert len(positions) == 1500 + 1


def test_a_person_reads_one_line_and_how_to_repeat_it(
    stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "--events", "20", "--seed", "7", "--now", "2026-11-20T12:00:00Z"]) == EXIT_OK

    out, err = capsys.readouterr()
    assert re.fullmatch(
        rf"sent 20 records to {stream} in [0-9.]+ s \([0-9]+ a second\): 20 events, 0 duplicates, 0 poison; "
        r"0 retried, 0 rejected, 0 unsent, 0 lines skipped\n",
        out,
    )
    assert "the same again: --seed 7 --now 2026-11-20T12:00:00+00:00\n" in err
    assert re.search(r"one of the products: SN-[0-9A-Z]{8}\n", err)


def test_a_file_with_bad_lines_is_sent_as_far_as_it_goes(
    stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recorded.ndjson"
    file.write_text(EVENT + "nonsense\n" + EVENT.replace("P-1", "P-2"))

    code = main(
        ["send", "--from", str(file), "--map", "serial=sn", "--map", "occurred_at=timestamp", "--json"]
    )

    out, err = capsys.readouterr()
    assert code == EXIT_FAILED
    assert json.loads(out)["skipped"] == 1
    assert err.startswith("line 2: not JSON")
    decoded = sorted(events.decode(each).serial for each in on_stream(stream))
    assert decoded == ["P-1", "P-2"]
    assert all(b'"price":1.10' in each for each in on_stream(stream))


def test_what_the_stream_cannot_take_is_kept_and_can_be_sent_again(
    stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = EVENT.replace("1.10", f'"{"x" * 1_100_000}"')
    file = tmp_path / "recorded.ndjson"
    file.write_text(EVENT + large)
    rejects = tmp_path / "rejects.ndjson"
    options = ["--map", "serial=sn", "--map", "occurred_at=timestamp", "--json", "--rejects", str(rejects)]

    code = main(["send", "--from", str(file), *options])

    out, err = capsys.readouterr()
    assert code == EXIT_FAILED
    assert (json.loads(out)["sent"], json.loads(out)["rejected"]) == (1, 1)
    assert "refused: event of P-1: 11" in err
    assert f"1 records that are not on the stream: {rejects}" in err
    assert len(rejects.read_bytes().splitlines()) == 1
    # Corrected, it goes; the fields have our names by now, and the mapping does not mind.
    rejects.write_text(re.sub("x{9,}", "x", rejects.read_text()))
    assert main(["send", "--from", str(rejects), *options[:-2]]) == EXIT_OK
    assert len(on_stream(stream)) == 2


def test_without_an_endpoint_the_remedy_is_one_line(
    stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")

    code = main(["send", "--events", "10"])

    out, err = capsys.readouterr()
    assert (code, out) == (EXIT_UNAVAILABLE, "")
    assert err == (
        f"error: no answer at http://127.0.0.1:{port}; start the local pipeline with `make serve`, "
        "or check AWS_ENDPOINT_URL\n"
    )
    assert says("no answer at …", err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["nonsense", "http://"])
def test_an_endpoint_that_is_no_url_is_named(
    url: str, stream: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    assert main(["send", "--events", "10"]) == EXIT_UNAVAILABLE

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "check AWS_ENDPOINT_URL" in err


def test_a_stream_that_is_not_there_is_named_with_the_remedy(
    aws: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["send", "--events", "10", "--stage", "local", "--stream", "no-such-stream"])

    err = capsys.readouterr().err
    assert code == EXIT_UNAVAILABLE
    assert err == (
        f"error: stream 'no-such-stream' not found at {aws}; start the local pipeline with `make serve`, "
        "or name another stream with --stream\n"
    )
    assert says("stream '…' not found", err)


def test_what_comes_through_a_pipe_is_sent_while_the_pipe_is_open(stream: str) -> None:
    sending = piped(stream)

    out, err = sending.communicate(timeout=PATIENCE_S)

    assert (sending.returncode, err) == (EXIT_OK, "")
    assert json.loads(out)["sent"] == 1


def test_ctrl_c_on_a_silent_pipe_ends_with_the_summary(stream: str) -> None:
    sending = piped(stream)

    sending.send_signal(signal.SIGINT)
    out = sending.stdout.read() if sending.stdout else ""
    sending.wait(PATIENCE_S)
    _, err = sending.communicate()
    assert (sending.returncode, err, json.loads(out)["sent"]) == (EXIT_INTERRUPTED, "", 1)


def test_ctrl_c_prints_what_was_sent_so_far(stream: str) -> None:
    sending = start("--forever", "--rate", "300", "--json")
    wait_for_records(stream, 50)

    sending.send_signal(signal.SIGINT)
    out, err = sending.communicate(timeout=PATIENCE_S)

    assert (sending.returncode, err) == (EXIT_INTERRUPTED, "")
    summary = json.loads(out)
    assert summary["sent"] == len(on_stream(stream)) >= 50
    assert summary["unsent"] == 0


def test_a_file_larger_than_a_request_is_sent_whole(stream: str, tmp_path: Path) -> None:
    file = tmp_path / "recorded.csv"
    rows = [f"P-{number % 700},note,2026-01-01T00:00:00Z,{number}\n" for number in range(3 * MAX_RECORDS)]
    file.write_text("serial,type,occurred_at,number\n" + "".join(rows))

    assert main(["send", "--from", str(file)]) == EXIT_OK

    numbers = [json.loads(each)["metadata"]["number"] for each in on_stream(stream)]
    assert sorted(map(int, numbers)) == list(range(3 * MAX_RECORDS))


SHIPPING = {
    "type": "ObjectEvent",
    "eventTime": "2026-01-01T00:00:00Z",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
    "action": "OBSERVE",
    "bizStep": "shipping",
}
SHIPMENT = {
    "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
    "type": "EPCISDocument",
    "schemaVersion": "2.0",
    "creationDate": "2026-01-01T00:00:00Z",
    "epcisBody": {"eventList": [SHIPPING]},
}


def test_every_example_in_the_help_does_what_it_says(stream: str, tmp_path: Path) -> None:
    (tmp_path / "old.ndjson").write_text(EVENT)
    (tmp_path / "recorded.csv").write_text("sn,type,occurred_at\nP-1,note,2026-01-01T00:00:00Z\n")
    (tmp_path / "shipment.jsonld").write_text(json.dumps(SHIPMENT))
    commands = [line.strip() for line in EXAMPLES.splitlines() if "python -m producer" in line]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    for command in commands:
        before = len(on_stream(stream))
        shell = command.replace("python", shlex.quote(sys.executable), 1)
        running = Popen(
            f"exec {shell}" if "--forever" in command else shell,
            shell=True,
            cwd=tmp_path,
            env=environment,
            stdout=PIPE,
            stderr=PIPE,
            text=True,
        )
        if "--forever" in command:
            wait_for_records(stream, before + 10)
            running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE_S)

        assert running.returncode == (EXIT_INTERRUPTED if "--forever" in command else EXIT_OK), err
        if "--dry-run" in command:
            assert len(out.splitlines()) == 3
            assert len(on_stream(stream)) == before
        else:
            assert len(on_stream(stream)) > before
    assert json.loads((tmp_path / "summary.json").read_text())["sent"] == 1
