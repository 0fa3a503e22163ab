"""A benchmark from the command line, on the embedded endpoint."""

import json

import pytest

from benchmarks.__main__ import main
from cli.exits import EXIT_OK


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
