"""The embedded endpoint as a process: whose life it shares, and whose port it may have."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import boto3
import pytest

from local.emulator import __main__ as ministack
from local.emulator import process
from tests.support.headings import says
from tests.support.processes import until

PARENT = """
import json, sys, time
from pathlib import Path
from types import ModuleType
from local.emulator import __main__ as ministack
from local.emulator import process as endpoint
from tests.support.processes import until
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

    assert until(lambda: not process.answers(url))


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


@pytest.fixture
def kinesis_of_ministack(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """MiniStack's own module, put back afterwards."""
    from ministack.services import kinesis

    for name in ("_expire_records", "_expire_iterators"):
        monkeypatch.setattr(kinesis, name, getattr(kinesis, name))
    return kinesis


def test_records_past_their_retention_still_vanish_and_others_stay(kinesis_of_ministack: ModuleType) -> None:
    ministack.skip_needless_expiry(kinesis_of_ministack)
    now = time.time()
    records = [{"ApproximateArrivalTimestamp": now - age_s} for age_s in (90_000, 86_500, 86_300, 1)]
    stream = {"RetentionPeriodHours": 24, "shards": {"old": {"records": records}, "empty": {"records": []}}}

    kinesis_of_ministack._expire_records(stream)

    assert stream["shards"]["old"]["records"] == records[2:]


def test_a_stream_without_records_past_their_retention_is_not_copied(
    kinesis_of_ministack: ModuleType,
) -> None:
    ministack.skip_needless_expiry(kinesis_of_ministack)
    records = [{"ApproximateArrivalTimestamp": time.time()}] * 3
    stream = {"RetentionPeriodHours": 24, "shards": {"young": {"records": records}}}

    kinesis_of_ministack._expire_records(stream)

    assert stream["shards"]["young"]["records"] is records


def test_shard_iterators_are_cleared_away_now_and_then(kinesis_of_ministack: ModuleType) -> None:
    cleared_at: list[float] = []
    now = 1000.0
    kinesis_of_ministack._expire_iterators = lambda: cleared_at.append(now)
    ministack.skip_needless_expiry(kinesis_of_ministack, clock=lambda: now)

    for step_s in (0.0, 1.0, 8.9, 0.1, 0.1, 10.0):
        now += step_s
        kinesis_of_ministack._expire_iterators()

    assert cleared_at == pytest.approx([1000.0, 1010.0, 1020.1])


def test_the_endpoint_that_is_served_has_these_shortcuts(
    kinesis_of_ministack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []
    monkeypatch.setattr(sys, "argv", ["local.emulator.__main__"])
    monkeypatch.setattr(
        "ministack.app.main", lambda: served.append(kinesis_of_ministack._expire_records.__module__)
    )

    ministack.main()

    assert served == ["local.emulator.__main__"]
