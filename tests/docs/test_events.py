"""docs/events.md, run: its examples are judged as it says, and its senders' events are stored."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from chalice.test import Client

from chalicelib import settings
from chalicelib.domain import events
from chalicelib.domain.events import MAX_DEPTH
from chalicelib.errors import InvalidEventError
from chalicelib.stream import records
from chalicelib.tables.history import MAX_ITEM_BYTES
from cli.paths import ROOT
from tests.support import api_process, names, shards

PAGE = (ROOT / "docs" / "events.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def test_the_good_example_is_an_event_and_the_bad_ones_get_the_sentences_that_stand_there() -> None:
    shown = re.findall(r"^    (\{.*?\})\n(?:    -> (.*))?$", PAGE, re.M)
    bad = [(data, sentence) for data, sentence in shown if sentence]

    assert len(bad) == 3
    for data, sentence in bad:
        with pytest.raises(InvalidEventError, match=f"^{re.escape(sentence)}$"):
            events.decode(data.encode())
    [good] = [data for data, sentence in shown if not sentence]
    assert events.decode(good.encode()).serial == "SN-1"
    [first] = re.findall(r"^    (\{[^}]*\n[^}]*\}\})$", PAGE, re.M)
    assert events.decode(first.encode()).source == "dealer-0173"


def test_limits_and_rules_are_the_code_s() -> None:
    assert f"at most {MAX_ITEM_BYTES:,} bytes" in PAGE
    assert re.search(rf"nesting\s+deeper than {MAX_DEPTH}", PAGE)
    assert events.SERIAL_RULE.replace("of A-Z a-z 0-9 . _ : -", "of `A-Z a-z 0-9 . _ : -`") in PAGE
    assert events.TYPE_RULE.replace("of a-z 0-9 _", "of `a-z 0-9 _`") in PAGE


def stored() -> set[str]:
    """When the events on the stage's stream happened."""
    kinesis: Any = boto3.client("kinesis")
    name = settings.stream_name()
    return {
        events.decode(record.data).occurred_at
        for shard in shards.shards(kinesis, name)
        for record in records.from_get_records(
            name, shard["ShardId"], shards.read(kinesis, name, shard["ShardId"]).records
        )
    }


def test_every_way_of_sending_puts_events_on_the_stream(client: Client, tmp_path: Path) -> None:
    plain, aggregated = blocks("python")
    with_cli, with_curl = blocks("sh")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}

    with api_process.api(tmp_path / "log", names.open_to_everybody()) as address:
        for script in (plain, aggregated):
            script = script.replace("STREAM", settings.stream_name())
            subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=120)
        for command in (with_cli, with_curl):
            command = command.replace("STREAM", settings.stream_name()).replace("ADDRESS", address)
            ran = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                check=True,
                env=environment,
                timeout=120,
                capture_output=True,
            )
            assert b"Code" not in ran.stdout, ran.stdout

    seconds = sorted(when[17:19] for when in stored())
    assert seconds == ["10", "11", "12", "47", "48", "49"]
    assert len(blocks("java")) == len(blocks("js")) == 1
