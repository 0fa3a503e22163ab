"""docs/planning.md: its commands exist, and its figures are what they answer.

What its prose says of limits and defaults is in docs/test_figures.py.
"""

import json
import re
import shlex
from pathlib import Path

import pytest

from cli.paths import ROOT
from ops.__main__ import main, parser
from ops.planning import capacity, prices, sizing
from ops.planning.simulation import scenario
from ops.planning.sizing import PROVISIONED, Alternative, MonthlyLoad
from producer import limits

DOCUMENT = (ROOT / "docs" / "planning.md").read_text()
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


def test_an_hour_of_a_billion_events_a_day_is_as_much_as_the_document_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = re.findall(r"^ +python -m ops simulate (.*--svg.*)$", DOCUMENT, re.MULTILINE)[-1]
    said = re.search(r"a billion events: ([\d,]+) records in ([\d,]+) invocations", TEXT)
    assert said
    plot = tmp_path / "run.svg"

    answer = simulated(capsys, *command.replace("run.svg", str(plot)).split())

    assert [answer["stored"], answer["invocations"]] == [int(each.replace(",", "")) for each in said.groups()]
    assert all(
        title in plot.read_text() for title in ("not stored yet", "age", "stored a second", "throttled")
    )


def test_the_document_says_how_many_sources_are_undated() -> None:
    dates = [source["as_of"] for source in json.loads(prices.FILE.read_text())["sources"].values()]
    undated = [text for text in dates if not re.fullmatch(r"20\d\d-\d\d(-\d\d)?", text)]
    said = re.search(r"of (\w+) pages `as_of` says that they are undated", TEXT)

    assert said
    assert said[1] == ("no", "one", "two", "three", "four", "five", "six")[len(undated)]
    assert all(text.startswith("undated") for text in undated)


def test_what_no_shard_makes_shorter_is_as_long_as_the_document_says() -> None:
    said = re.search(r"the first batch: ([\d.]+) s at 1024 MB\)", TEXT)
    assert said
    hopeless = Alternative(PROVISIONED, False, PROVISIONED, 1024)

    reasons = sizing.design(MonthlyLoad(within_s=1.0), hopeless).shortcomings
    assert reasons == (f"reading and storing the first batch alone take {said[1]} s",)


def test_a_producer_is_as_fast_as_the_document_says() -> None:
    said = re.search(r"one that is simulated puts ([\d,]+) records a second", TEXT)
    assert said

    assert scenario.OfferedLoad(producers=1).producers_s == int(said[1].replace(",", ""))
    assert f"than the shards take in a second, and that for longer than {capacity.REFUSING_S:g} s" in TEXT
    assert capacity.HELD_S == 1
    assert f"some records are refused {limits.ATTEMPTS} times and given up" in TEXT
    assert f"{capacity.write_units(400_000)} for 400,000 bytes" in TEXT
    assert f"up to {limits.BACKOFF_LIMIT_S:g} s; {capacity.HEADROOM:.0%}".replace("%", " %") in TEXT


def test_the_number_of_alternatives_is_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--all", "--json"])

    assert "all 24" in DOCUMENT
    assert len(json.loads(capsys.readouterr().out)["alternatives"]) == 24


def test_the_largest_event_of_one_write_unit_is_the_documents() -> None:
    said = re.search(r"is (\d+) bytes larger .*? so (\d+) bytes are the largest event", TEXT)
    assert said

    assert int(said[1]) == capacity.ITEM_OVERHEAD_BYTES
    assert f"in {sizing.RECORD_S:g} s those of a record" in TEXT
    assert f"`--events-per-record {capacity.aggregated(972).events_per_record}` for full ones" in TEXT
    assert f"an event of more than {capacity.MAX_EVENT_BYTES:,} bytes" in TEXT
    assert [capacity.write_units(int(said[2]) + more) for more in (0, 1)] == [1, 2]
