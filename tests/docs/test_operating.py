"""docs/operating.md as an operator works through it: its commands, as they stand, on a real stage.

The shell runs them, in the order of the page, each in the situation that its section is about.  What is about
deployed functions (`doctor`, `mapping`, `stack`) is run where some are: test_deploying_commands.py, e2e.
"""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import boto3

from chalicelib import settings
from cli.paths import ROOT
from tests.support.dead_letters import Stream
from tests.support.lambda_events import wire
from tests.support.operators import Operator
from tests.support.quarantine_cases import set_aside
from tests.support.waiting import PATIENCE_S

PAGE = (ROOT / "docs" / "operating.md").read_text().partition("# Commands and settings")

#: About what is deployed; nothing is, here.
OF_DEPLOYED = re.compile(r"python -m ops (?:doctor|mapping|stack)\b")

#: The product that the page speaks of: as README has it, so that the event the page takes out is there.
PRODUCT = [
    wire("SN-4F7K2M9Q", "production", "2024-05-01T10:00:00+02:00", source="plant-7"),
    b'{"serial": "SN-4F7K2M9Q", "type": "theft", "occurred_at": "2024-06-09T23:15:00+02:00", '
    b'"metadata": {"loss": 1499.90}}',
]


def blocks(section: str) -> list[str]:
    """The commands in the indented blocks of a section, without what is said beside them."""
    [text] = re.findall(rf"^#+ {re.escape(section)}\n(.*?)(?=^#|\Z)", PAGE[0], re.M | re.S)
    lines = "\n".join(re.findall(r"^ {4,}(\S.*)$", text, re.M))
    lines = re.sub(r"\n(?=\||\"metadata\")", " ", lines.replace(" \\\n", " "))
    return [re.split(r" {2,}(?=\S)", line)[0] for line in lines.splitlines() if "python -m" in line]


class Shell:
    """A terminal in which somebody has exported what the page says to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ran: set[str] = set()

    def __call__(self, command: str, **placeholders: str) -> str:
        """Run a command of the page; what it printed.  It has to do what the page says it does."""
        answer = subprocess.run(
            self._words(command, placeholders),
            cwd=self._directory,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"
        return answer.stdout

    def until_ctrl_c(self, command: str, shows: str) -> None:
        """Run a command that does not end, on a terminal; press Ctrl-C when it has shown something."""
        ours, its = pty.openpty()
        process = subprocess.Popen(
            self._words(command, {}),
            cwd=self._directory,
            env=self._environment(),
            stdout=its,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(its)
        watchdog = threading.Timer(PATIENCE_S, process.kill)
        watchdog.start()
        try:
            with os.fdopen(ours, "rb", closefd=True) as terminal:
                assert any(shows.encode() in line for line in terminal)
                os.killpg(process.pid, signal.SIGINT)
                _, said = process.communicate(timeout=PATIENCE_S)
        finally:
            watchdog.cancel()
            process.kill()
        assert said == b""

    def _words(self, command: str, placeholders: dict[str, str]) -> list[str]:
        self.ran.add(command)
        for name, value in placeholders.items():
            command = re.sub(rf"\b{name}\b", value, command)
        return ["/bin/sh", "-c", command.replace("python -m", f"{shlex.quote(sys.executable)} -m")]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LIFECYCLE_STAGE": "prod", "PYTHONPATH": str(ROOT)}


def test_the_page_works_as_it_stands(ops: Operator, stream: Stream, tmp_path: Path) -> None:
    sqs = boto3.client("sqs")
    numbers = stream.put(PRODUCT)
    bug = set_aside(wire("SN-BUG", "service"), "handler_error")
    wrong = set_aside(
        b'{"serial":"SN-WRONG","type":"service","occurred_at":1}',
        "invalid_event",
        sentence="`occurred_at`: expected a string, got a number",
    )
    nonsense = set_aside(b"hello", "not_json")
    for queue in settings.dead_letter_queue(), settings.parking_queue():
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(stream.dead_letter(numbers)))
    shell = Shell(tmp_path)

    [late] = blocks("Events are late")
    shell.until_ctrl_c(late, shows="SN-4F7K2M9Q  theft")

    counts, look, would, redrive = blocks("The dead-letter queue is not empty")
    assert shell(counts).count(": 1 waiting") == 2
    assert shell(look).count("RetryAttemptsExhausted") == 2
    assert numbers[0] in shell(would)
    assert shell(counts).count(": 1 waiting") == 2
    assert numbers[0] in shell(redrive)
    assert re.findall(r": (\d) waiting", shell(counts)) == ["2", "0"]

    listing, show, would, redrive, payload, would_edited, redrive_edited, discard = blocks(
        "Quarantine is not empty"
    )
    assert all(id_ in shell(listing) for id_ in (bug, wrong, nonsense))
    assert "expected a string, got a number" in shell(show, ID=wrong)
    assert shell(would) == f"{bug}  would store\n"
    assert f"{bug}  redriven: to shard" in shell(redrive)
    shell(payload, ID=wrong)
    record = tmp_path / "record.json"
    record.write_text(record.read_text().replace(":1}", ':"2026-01-02T03:04:05Z"}'))
    assert shell(would_edited, ID=wrong) == f"{wrong}  would store\n"
    assert f"{wrong}  redriven: to shard" in shell(redrive_edited, ID=wrong)
    assert shell(discard, ID=nonsense) == f"{nonsense}  discarded\n"
    assert shell(listing) == ""

    would_replay, replay = blocks("Replaying")
    assert "4 would be stored" in shell(would_replay)
    assert "4 stored" in shell(replay)
    assert ops("history", "SN-BUG").code == ops("history", "SN-WRONG").code == 0

    story, story_json, find, again, void = blocks("A product's history looks wrong")
    assert shell(story).startswith("SN-4F7K2M9Q is stolen")
    assert '"position":"2024-06-09T21:15:00.000000Z#99a93f2bc0c4fb612fe937ede2c48367"' in shell(story_json)
    shell.until_ctrl_c(find, shows="1499.9")
    shell(void)
    shell(again)
    assert re.search(r"theft +taken out", shell(story))

    [create] = blocks("Rotating tokens")
    assert shell(create).startswith("lch_")
    *_, backfill, policies = blocks("Is it ready, and is it still as we left it?")
    assert ": of 1 void 0 lacked their markers" in shell(backfill)
    shell(policies)

    every = set(re.findall(r"^ {4,}(.*?python -m .*?)(?: {2,}.*)?$", PAGE[0], re.M))
    unseen = {
        line for line in every if not OF_DEPLOYED.search(line) and not any(line in ran for ran in shell.ran)
    }
    assert unseen == set()


def test_what_the_prose_and_the_alarms_say_to_run_runs(ops: Operator, stage: str) -> None:
    prose = re.sub(r"^ {4,}.*$", "", "".join(PAGE), flags=re.M)
    named = {" ".join(each.split()) for each in re.findall(r"`python -m (ops [^`]*)`", prose)}
    without_placeholder = {
        line
        for line in named
        if re.match(r"ops (?:quarantine|dead-letters|replay|policies --check)\b", line)
        and not re.search(r"\bID\b", line)
    }

    assert {"ops quarantine list --reason expired", "ops dead-letters redrive"} <= without_placeholder
    for line in sorted(without_placeholder):
        arguments = shlex.split(line)[1:] + (["--stage", "prod"] if "policies" in line else [])
        assert ops(*arguments).code == 0, line
