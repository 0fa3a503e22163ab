"""`make serve` whose stream is resharded while producers send: nothing is lost, nor at the next start."""

import os
import signal
import subprocess
import sys
from datetime import datetime, timezone
from typing import Any

import boto3

from cli.paths import ROOT
from producer.lives import lives
from tests.e2e.local.test_serve import Serve, Serving, home, serve
from tests.support.positions import by_product
from tests.support.shards import open_shards, scale
from tests.support.waiting import PATIENCE_S, eventually

__all__ = ["home", "serve"]  # fixtures

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
STREAM = "lifecycle-local-events"


class Sending:
    """Two producers that are told what to send: one that aggregates, and one that does not."""

    def __init__(self, endpoint: str) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "producer", "send", "--from", "-", *options],
                cwd=ROOT,
                env={**os.environ, "AWS_ENDPOINT_URL": endpoint, "LIFECYCLE_STAGE": "local"},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
            for options in ((), ("--aggregate",))
        ]

    def send(self, data: list[bytes]) -> None:
        for process, part in zip(self._processes, (data[::2], data[1::2]), strict=True):
            assert process.stdin is not None
            process.stdin.writelines(each + b"\n" for each in part)
            process.stdin.flush()

    def end(self) -> None:
        for process in self._processes:
            process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0


def kinesis(serving: Serving) -> Any:
    return boto3.client("kinesis", endpoint_url=serving.endpoint)


def test_resharding_while_producers_send_loses_nothing_and_a_restart_keeps_the_shards(serve: Serve) -> None:
    sent = list(lives(2000, 40, 5, NOW))
    first = serve()
    sending = Sending(first.endpoint)

    for start, count in ((0, 8), (500, 11), (1000, 6)):
        sending.send(sent[start : start + 250])
        scale(kinesis(first), STREAM, count)
        sending.send(sent[start + 250 : start + 500])
    sending.end()
    assert eventually(lambda: has_all(first, sent[:1500]))
    scale(kinesis(first), STREAM, 12)
    first.end(signal.SIGINT)

    second = serve()
    assert len(open_shards(kinesis(second), STREAM)) == 12
    sending = Sending(second.endpoint)
    sending.send(sent[1500:])
    sending.end()
    assert eventually(lambda: has_all(second, sent))
    code, said = second.end(signal.SIGINT)
    assert (code, "Traceback" in said) == (0, False)


def has_all(serving: Serving, sent: list[bytes]) -> bool:
    """Whether the API gives every event of every product, and no other."""
    return all(serving.positions(serial) == held for serial, held in by_product(sent).items())
