"""README's commands as a reader runs them, compared with what README says they answer.

What differs from run to run (counts that are drawn, times) is compared by its shape.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from cli.paths import ROOT
from tests.support import make
from tests.support.waiting import PATIENCE_S, eventually

README = (ROOT / "README.md").read_text()


class Shown(NamedTuple):
    """A command in README and what README says it answers."""

    command: str
    output: str


def shown() -> Iterator[Shown]:
    """What stands in README's console blocks."""
    for block in re.findall(r"```console\n(.*?)```", README, re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.rstrip().splitlines()
            ends = lines.index("END") + 1 if "<<'END'" in lines[0] else 1
            yield Shown("\n".join(lines[:ends]), "\n".join(lines[ends:]))


def starting(start: str) -> Shown:
    """The one command that starts so."""
    [found] = [each for each in shown() if each.command.startswith(start)]
    return found


def shape(text: str) -> list[str]:
    """The text's lines without what a run draws or measures."""
    return [re.sub(r"\d[\d,.]*", "N", " ".join(line.split())) for line in text.splitlines()]


def test_make_demo_answers_what_readme_shows() -> None:
    command = starting("make demo")

    ran = subprocess.run(
        [*make.COMMAND, *command.command.split()[1:]],
        cwd=ROOT,
        env=make.ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert ran.returncode == 0, ran.stderr
    said = f"{ran.stderr}{ran.stdout}".partition("\n\n")[0]  # what follows is one product's story
    assert shape(said) == shape(command.output)
    fixed = ("produced", "queryable", "missing", "unexpected", "quarantined", "Every event")
    for line in command.output.splitlines():
        if line.startswith(fixed):
            assert " ".join(line.split()) in [" ".join(each.split()) for each in said.splitlines()]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `make serve` prints, while it runs: on free ports, everything else as README has it."""
    home = tmp_path_factory.mktemp("home")
    arguments = f"ARGS=--port 0 --endpoint-port 0 --home {home}"
    process = subprocess.Popen(
        [*make.COMMAND, *starting("make serve").command.split()[1:], arguments],
        cwd=ROOT,
        env=make.ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "stop with Ctrl-C" in line:
            break
    yield "".join(lines)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 2)  # Ctrl-C
    process.stdout.close()
    process.wait(timeout=PATIENCE_S)


def test_make_serve_says_where_it_is(serving: str) -> None:
    expected = shape(starting("make serve").output)

    assert shape(serving)[: len(expected)] == expected


def test_events_sent_as_readme_shows_are_answered_as_readme_shows(serving: str) -> None:
    send, curl = starting(".venv/bin/python -m producer"), starting("curl")

    sent = _shell(send.command, serving)

    assert (sent.returncode, shape(sent.stdout)) == (0, shape(send.output)[:1])
    assert sent.stderr.splitlines() == send.output.splitlines()[1:]
    expected = json.loads(curl.output.replace("\n", ""))  # one line, broken in README to fit
    assert eventually(lambda: "history" in _answer(serving) and len(_answer(serving)["history"]) == 2)
    assert _timeless(_answer(serving)) == _timeless(expected)
    assert '"loss":1499.90' in _shell(curl.command, serving).stdout


def test_the_claim_that_sending_again_leaves_the_history_as_it_was_holds(serving: str) -> None:
    send = starting(".venv/bin/python -m producer").command
    assert _shell(send, serving).returncode == 0
    assert eventually(lambda: "history" in _answer(serving) and len(_answer(serving)["history"]) == 2)
    before = _answer(serving)

    assert _shell(send, serving).returncode == 0

    # Written again, as the times say, and otherwise the same.
    assert eventually(lambda: _times(_answer(serving)).isdisjoint(_times(before)))
    assert _timeless(_answer(serving)) == _timeless(before)


def _answer(serving: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_shell(starting("curl").command, serving).stdout)
    return answer


def _shell(command: str, serving: str) -> subprocess.CompletedProcess[str]:
    """The command on the Python that runs the tests, against the ports that were free."""
    api, endpoint = re.findall(r"^(?:API|endpoint) +(http://[0-9.:]+)", serving, re.M)
    command = command.replace(".venv/bin/python", sys.executable).replace("http://127.0.0.1:8000", api)
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": endpoint, "LIFECYCLE_STAGE": "local"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def _times(answer: dict[str, Any]) -> set[str]:
    return {event["recorded_at"] for event in answer["history"]}


def _timeless(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without the times at which this stream carried its events."""
    history = [{name: event[name] for name in event if name != "recorded_at"} for event in answer["history"]]
    return {**answer, "history": history}
