"""The embedded endpoint as a process: whose life it shares, and whose port it may have."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.emulator import process
from tests.support.headings import says
from tests.support.waiting import eventually

PARENT = """
import json, sys, time
from pathlib import Path
from local.emulator import process as endpoint
directory = Path(sys.argv[1])
record = directory / "endpoint.json" if sys.argv[2] == "recorded" else None
running = endpoint.start(port=endpoint.free_port(), log_path=directory / "log", record=record)
print(json.dumps({"url": running.url, "pid": running.pid}), flush=True)
time.sleep(600)
"""


@pytest.fixture
def started_by_another(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], str, int]]]:
    """Starts an endpoint from a process of its own: that process, the endpoint's URL, its process id."""
    parents = []
    pids = []

    def start(how: str) -> tuple[subprocess.Popen[str], str, int]:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path), how], stdout=subprocess.PIPE, text=True
        )
        parents.append(parent)
        assert parent.stdout is not None
        said = json.loads(parent.stdout.readline())
        pids.append(said["pid"])
        return parent, said["url"], said["pid"]

    yield start
    for parent in parents:
        parent.kill()
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()
    for pid in pids:
        if process.command_line(pid) is not None:
            os.kill(pid, signal.SIGKILL)


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    running = process.start(log_path=tmp_path / "log")
    port = int(running.url.rpartition(":")[2])
    try:
        with socket.socket() as elsewhere:
            # 127.0.0.2 is loopback too: it answers there only when bound to every interface.
            assert elsewhere.connect_ex(("127.0.0.2", port)) != 0
        with socket.socket() as here:
            assert here.connect_ex(("127.0.0.1", port)) == 0
    finally:
        running.stop()

    assert not process.answers(running.url)


def test_why_it_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_MODULE", "local.no_such_module")

    with pytest.raises(process.EndpointError, match=r"No module named local\.no_such_module") as refused:
        process.start(log_path=tmp_path / "log")

    assert says("the endpoint ended at once with code …", str(refused.value))


def test_its_state_survives_an_orderly_restart_on_another_port(tmp_path: Path) -> None:
    first = process.start(log_path=tmp_path / "log", state_dir=tmp_path / "state")
    boto3.client("sqs", endpoint_url=first.url).create_queue(QueueName="kept")
    kinesis = boto3.client("kinesis", endpoint_url=first.url)
    kinesis.create_stream(StreamName="kept", ShardCount=1)
    kinesis.put_record(StreamName="kept", PartitionKey="k", Data=b"\xff\x00 kept")
    first.stop()

    second = process.start(log_path=tmp_path / "log", state_dir=tmp_path / "state")
    try:
        assert boto3.client("sqs", endpoint_url=second.url).list_queues()["QueueUrls"][0].endswith("/kept")
        kinesis = boto3.client("kinesis", endpoint_url=second.url)
        shard = kinesis.list_shards(StreamName="kept")["Shards"][0]["ShardId"]
        iterator = kinesis.get_shard_iterator(
            StreamName="kept", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        assert kinesis.get_records(ShardIterator=iterator)["Records"][0]["Data"] == b"\xff\x00 kept"
    finally:
        second.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with a killed parent")
def test_it_ends_with_the_process_that_started_it_even_when_that_is_killed(started_by_another) -> None:
    parent, url, _ = started_by_another("unrecorded")
    assert process.answers(url)

    parent.kill()

    assert eventually(lambda: not process.answers(url))


def test_a_recorded_one_outlives_a_kill_and_is_adopted_and_stopped(
    started_by_another, tmp_path: Path
) -> None:
    parent, url, pid = started_by_another("recorded")
    parent.kill()
    parent.wait()
    record = tmp_path / "endpoint.json"

    adopted = process.start(port=int(url.rpartition(":")[2]), log_path=tmp_path / "log", record=record)

    assert (adopted.url, adopted.pid) == (url, pid)
    adopted.stop()
    assert not process.answers(url)
    assert process.recorded(record) is None


def test_one_with_other_shard_limits_is_ended_in_order_and_started_again_with_what_it_kept(
    tmp_path: Path,
) -> None:
    kept: dict[str, Any] = {
        "port": process.free_port(),
        "log_path": tmp_path / "log",
        "state_dir": tmp_path / "state",
        "record": tmp_path / "endpoint.json",
    }
    started = []
    for shard_limits in (False, True, True, False):
        started.append(process.start(**kept, shard_limits=shard_limits))
        kinesis = boto3.client("kinesis", endpoint_url=started[-1].url)
        if len(started) == 1:
            kinesis.create_stream(StreamName="kept", ShardCount=1)
        records = [{"Data": bytes(2000), "PartitionKey": str(number)} for number in range(500)]
        answers = [kinesis.put_records(StreamName="kept", Records=records) for _ in range(4)]
        kinesis.close()
        assert any(answer["FailedRecordCount"] for answer in answers) is shard_limits

    first, limited, adopted, last = started
    assert adopted.pid == limited.pid
    assert first.is_gone
    assert limited.is_gone
    last.stop()


def test_a_port_of_another_program_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(
            process.PortInUseError, match=f"port {port} is in use by another program; stop it"
        ) as refused:
            process.start(port=port, log_path=tmp_path / "log", record=tmp_path / "endpoint.json")

    assert says("port … is in use by …; stop it", str(refused.value))


def test_an_endpoint_that_somebody_else_started_is_not_adopted(endpoint_url: str, tmp_path: Path) -> None:
    port = int(endpoint_url.rpartition(":")[2])

    with pytest.raises(process.PortInUseError, match="an AWS endpoint that was not started from here"):
        process.start(port=port, log_path=tmp_path / "log", record=tmp_path / "endpoint.json")


@pytest.mark.parametrize("written", ["", "{}", '{"pid": "x", "url": 1}', '{"pid": 1, "url": "http://a:1"}'])
def test_a_record_that_names_nothing_of_ours_is_nobody(written: str, tmp_path: Path) -> None:
    record = tmp_path / "endpoint.json"
    record.write_text(written)

    assert process.recorded(record) is None


def test_a_process_id_that_was_used_again_is_nobody_of_ours(endpoint_url: str, tmp_path: Path) -> None:
    record = tmp_path / "endpoint.json"
    record.write_text(json.dumps({"pid": os.getpid(), "url": endpoint_url}))

    assert process.recorded(record) is None


def test_somebody_elses_endpoint_is_never_stopped(endpoint_url: str) -> None:
    process.at(endpoint_url).stop()

    assert process.answers(endpoint_url)
