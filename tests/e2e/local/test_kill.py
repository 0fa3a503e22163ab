"""Everything of ours killed at once in the middle of a run, and started again: nothing is missing.

The endpoint stays, because it plays AWS: the stream, the tables and the mappings' checkpoints are there.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import boto3
import pytest

from chalicelib.tables.markers import BEHIND
from cli.paths import ROOT
from local.commands.audit import Produced, audit
from local.emulator import process
from producer.lives import lives
from tests.support.processes import alive, command_lines
from tests.support.serve_process import Served
from tests.support.waiting import PATIENCE_S, eventually

EVENTS, PRODUCTS, SEED = 20_000, 400, 5
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
TABLE = "lifecycle-local-history"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Where `serve` keeps its things; the endpoint that it leaves behind is stopped."""
    home = tmp_path / "home"
    yield home
    left = process.recorded(home / "endpoint.json")
    if left is not None:
        left.stop(timeout_s=5)


def test_sigkill_of_everything_but_the_endpoint_in_the_middle_of_20000_events_loses_nothing(
    home: Path,
) -> None:
    first = Served(home)
    kept = process.recorded(home / "endpoint.json")
    assert kept is not None
    assert kept.pid is not None
    stored = Stored(first.endpoint)
    sending = producer(first.endpoint)
    assert eventually(lambda: stored.count() > EVENTS // 10)
    ours = command_lines(first.process.pid)
    del ours[kept.pid]
    assert any("local.sandbox.worker" in line for line in ours.values())
    assert any("local.api_server" in line for line in ours.values())

    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    first.process.communicate()
    assert eventually(lambda: alive(ours) == {})
    assert sending.wait(timeout=PATIENCE_S) == 0  # the stream is AWS's: it takes events while we are dead
    at_the_kill = stored.count()
    assert at_the_kill < EVENTS

    second = Served(home)
    try:
        assert second.endpoint == first.endpoint
        assert eventually(lambda: stored.count() >= EVENTS)
        produced = Produced()
        for data in lives(EVENTS, PRODUCTS, SEED, NOW):
            produced.event(data)
        verdict = audit(second.api, produced, [], stored=stored.count())
        assert (verdict.missing, verdict.unexpected) == (0, 0), verdict.examples
        assert verdict.queryable == EVENTS
    finally:
        stored.close()
        second.process.send_signal(signal.SIGINT)
        second.process.communicate(timeout=PATIENCE_S)


class Stored:
    """How many events the history table holds, asked of the endpoint that stays."""

    def __init__(self, url: str) -> None:
        self._dynamodb = boto3.client("dynamodb", endpoint_url=url)

    def count(self) -> int:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=TABLE,
            Select="COUNT",
            FilterExpression="#position < :behind",
            ExpressionAttributeNames={"#position": "position"},
            ExpressionAttributeValues={":behind": {"S": BEHIND}},
        )
        return sum(page["Count"] for page in pages)

    def close(self) -> None:
        self._dynamodb.close()


def producer(url: str) -> "subprocess.Popen[bytes]":
    """`python -m producer send` from another terminal."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "producer", "send", "--events", str(EVENTS)),
            *("--products", str(PRODUCTS), "--seed", str(SEED), "--now", NOW.isoformat()),
        ],
        cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": url, "LIFECYCLE_STAGE": "local"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
