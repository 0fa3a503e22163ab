"""Annotations on X-Ray's wire: sent where a trace is sampled, nothing at all elsewhere."""

import json
import os
import socket
import time
from collections.abc import Iterator

import pytest

from chalicelib.telemetry import tracing

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    """What stands beside a Lambda function: something that takes datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        host, port = listener.getsockname()
        os.environ["AWS_XRAY_DAEMON_ADDRESS"] = f"{host}:{port}"
        yield listener


def test_a_sampled_invocation_gets_a_subsegment_with_annotations(daemon: socket.socket) -> None:
    os.environ["_X_AMZN_TRACE_ID"] = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=a:0"

    tracing.annotate("ingest", 0.5, {"shard_id": "shardId-0", "records": 3})

    header, _, body = daemon.recv(65536).partition(b"\n")
    assert json.loads(header) == {"format": "json", "version": 1}
    document = json.loads(body)
    assert (document["name"], document["type"]) == ("ingest", "subsegment")
    assert (document["trace_id"], document["parent_id"]) == (ROOT, PARENT)
    assert document["annotations"] == {"shard_id": "shardId-0", "records": 3}
    assert document["end_time"] - document["start_time"] == pytest.approx(0.5)
    assert abs(document["end_time"] - time.time()) < 60
    assert len(document["id"]) == 16


@pytest.mark.parametrize(
    "trace", [None, f"Root={ROOT};Parent={PARENT};Sampled=0", f"Root={ROOT}", "Root=1-x;Parent=y;Sampled=1"]
)
def test_without_a_sampled_trace_nothing_is_sent(daemon: socket.socket, trace: str | None) -> None:
    if trace is not None:
        os.environ["_X_AMZN_TRACE_ID"] = trace

    tracing.annotate("ingest", 0.5, {})

    daemon.setblocking(False)
    with pytest.raises(BlockingIOError):
        daemon.recv(65536)


@pytest.mark.parametrize("address", [None, "nowhere", "127.0.0.1:x", "127.0.0.1:1"])
def test_a_daemon_that_is_not_there_costs_nothing(address: str | None) -> None:
    os.environ["_X_AMZN_TRACE_ID"] = f"Root={ROOT};Parent={PARENT};Sampled=1"
    if address is not None:
        os.environ["AWS_XRAY_DAEMON_ADDRESS"] = address

    tracing.annotate("ingest", 0.5, {})
