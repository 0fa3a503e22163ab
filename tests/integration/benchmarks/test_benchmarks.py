"""The benchmarks from the command line, on the embedded endpoint: that they run."""

import json
from typing import Any

import pytest

from benchmarks.__main__ import NAMES, main
from cli.exits import EXIT_OK
from cli.paths import ROOT

#: A whole run of them.
KEPT = ROOT / "docs" / "performance.ndjson"


def test_write_units_are_one_for_ours_and_grow_for_one_item_a_product(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["write_units", "--quick", "--json"]) == EXIT_OK

    header, *lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert {"python", "boto3", "cpu", "commit"} <= header.keys()
    units = {
        name: [line["write_units_per_event"] for line in lines if line["contender"] == name]
        for name in ("ours", "read_modify_write")
    }
    assert set(units["ours"]) == {1.0}
    assert units["read_modify_write"] == sorted(units["read_modify_write"])
    assert units["read_modify_write"][-1] > 10


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_has_figures_of_every_contender_and_judges_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--quick", "--json"]) == EXIT_OK

    _, *lines = map(json.loads, capsys.readouterr().out.splitlines())
    kept = [json.loads(row) for row in KEPT.read_text().splitlines()]
    of_name = [line for line in kept if line["benchmark"] == name]
    assert {line["benchmark"] for line in lines} == {name}
    assert by_contender(lines) == by_contender(of_name)


def by_contender(lines: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Which figures there are of each contender."""
    return {line["contender"]: set(line) for line in lines}
