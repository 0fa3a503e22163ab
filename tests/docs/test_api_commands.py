"""docs/api.md's commands as a reader runs them, on an API that really listens."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chalice.test import Client

from chalicelib.api import queries
from cli.paths import ROOT
from tests.support import api_process
from tests.support.api_client import at, keep, notes
from tests.support.lambda_events import wire
from tests.support.waiting import PATIENCE_S

PAGE = (ROOT / "docs" / "api.md").read_text()

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the commands are curl's")


@pytest.fixture
def url(client: Client, tmp_path: Path) -> Iterator[str]:
    """The API over a stage with more events of SN-1 than two pages hold."""
    os.environ["LIFECYCLE_PARTIAL_RESPONSES"] = "on"
    keep(client, *notes(2 * queries.MAX_LIMIT + 1))
    with api_process.api(tmp_path / "api.log") as running:
        yield running


def shell(command: str, url: str, directory: Path) -> str:
    """What the command of the page prints, at the address that was free and on the Python of the tests."""
    command = command.replace("http://127.0.0.1:8000", url).replace("python -m", f"{sys.executable} -m")
    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), command
    return ran.stdout


def test_the_loop_over_pages_leaves_every_event_in_the_file(url: str, tmp_path: Path) -> None:
    [loop] = re.findall(r"^    (next=.*?^    done[^\n]*)", PAGE, re.M | re.S)

    shell(loop.replace("\n    ", "\n"), url, tmp_path)

    rows = list(csv.reader(io.StringIO((tmp_path / "events.csv").read_text(), newline="")))
    headers = [row for row in rows if row[0] == "serial"]
    assert len(headers) == 3  # "a header line on every page"
    metadata = rows[0].index("metadata")
    numbers = [json.loads(row[metadata])["n"] for row in rows if row not in headers]
    assert sorted(numbers) == list(range(2 * queries.MAX_LIMIT + 1))


def test_what_goes_out_as_epcis_comes_in_again_as_itself(url: str, client: Client, tmp_path: Path) -> None:
    [out] = re.findall(r"Out: `(curl [^`]+)`", PAGE)
    [back] = re.findall(r"^    (python -m producer send .*--format epcis)$", PAGE, re.M)
    keep(client, wire("SN-2", "theft", at(1), metadata={"loss": 1499.90}))
    address = f"{url}/products/SN-2"

    document = shell(f"{out.replace('…/products/SN-1', address)} -s", url, tmp_path)
    (tmp_path / "shipment.jsonld").write_text(document)
    [again] = map(json.loads, shell(f"{back} --dry-run", url, tmp_path).splitlines())

    assert (again["serial"], again["type"], again["metadata"]) == ("SN-2", "theft", {"loss": 1499.90})
