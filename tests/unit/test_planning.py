"""docs/planning.md: its commands exist, and its figures are what they answer."""

import json
import re
import shlex
from pathlib import Path

import pytest

from ops.__main__ import main, parser

DOCUMENT = (Path(__file__).parents[2] / "docs" / "planning.md").read_text()
TEXT = " ".join(DOCUMENT.split())


def simulated(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, float]:
    main(["simulate", "--json", *argv])
    answer: dict[str, float] = json.loads(capsys.readouterr().out)
    return answer


def test_every_command_in_the_document_exists() -> None:
    commands = re.findall(r"^ +python -m ops (.+)$", DOCUMENT, re.MULTILINE)

    assert len(commands) >= 5
    for command in commands:
        parser().parse_args(shlex.split(command))


def test_the_burst_takes_as_long_as_the_document_says(capsys: pytest.CaptureFixture[str]) -> None:
    said = re.search(r"stored\s+after\s+(\d+) s and not the\s+25 s", DOCUMENT)
    assert said

    assert round(simulated(capsys)["drained_s"]) == int(said[1])


def test_one_shard_takes_as_long_as_the_document_says(capsys: pytest.CaptureFixture[str]) -> None:
    said = re.search(
        r"on one shard the burst takes (\d+) s, and a shard refuses a record ([\d,]+) times", TEXT
    )
    assert said
    answer = simulated(capsys, "--shards", "1")

    assert round(answer["drained_s"]) == int(said[1])
    assert answer["put_throttles"] == int(said[2].replace(",", ""))
    assert answer["rejected"] == 0


def test_the_number_of_alternatives_is_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--all", "--json"])

    assert "all 24" in DOCUMENT
    assert len(json.loads(capsys.readouterr().out)["alternatives"]) == 24
