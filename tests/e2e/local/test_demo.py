"""`python -m local demo` as a person runs it: the real thing, and its verdict."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib import settings
from cli.paths import ROOT
from tests.support.headings import says
from tests.support.processes import alive, command_lines
from tests.support.waiting import PATIENCE_S, eventually

RECORDED = ROOT.parent / "shared" / "data" / "recorded-events.ndjson"


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path: Path) -> None:
    os.environ["TMPDIR"] = str(tmp_path)  # the demo leaves its logs there when the verdict is no


def demo(*options: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", "demo", *options],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def figures(finished: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return last


def test_2000_events_with_duplicates_and_poison_are_all_there_exactly_as_sent() -> None:
    finished = demo("--events", "2000", "--json")

    assert finished.returncode == 0, finished.stderr
    found = figures(finished)
    assert (found["produced"], found["queryable"], found["products"]) == (2000, 2000, 200)
    assert (found["missing"], found["unexpected"]) == (0, 0)
    assert (found["poison_sent"], found["quarantined"], found["wrongly_quarantined"]) == (5, 5, 0)
    assert found["duplicates_sent"] > 0
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["p99"]
    assert found["iterator_age_ms_max"] > 0
    assert found["invocations"] >= 5
    assert found["seconds_produce"] > 0
    assert found["events_per_second"] > 0
    assert finished.stderr == ""


def test_a_person_gets_a_table_a_verdict_and_one_products_story() -> None:
    # In an environment like many a developer's: keys, a region and a proxy, none of which is for here.
    own = {"AWS_PROFILE": "work", "AWS_DEFAULT_REGION": "us-east-1", "HTTP_PROXY": "http://127.0.0.1:9"}
    options = ("--events", "60", "--products", "2", "--poison", "0", "--no-shuffle", "--seed", "1")

    finished = demo(*options, environment=own)

    assert finished.returncode == 0, finished.stderr
    assert "Every event is there, exactly as sent, and nothing else." in finished.stdout
    assert "queryable" in finished.stdout
    story = finished.stdout[finished.stdout.index("SN-") :]
    assert " is " in story.splitlines()[0]
    assert len(story.splitlines()) > 10


def test_a_given_endpoint_is_used_and_left_as_it_was(endpoint_url: str) -> None:
    before = _everything(endpoint_url)

    finished = demo("--events", "50", "--json", environment={"AWS_ENDPOINT_URL": endpoint_url})

    assert finished.returncode == 0, finished.stderr
    assert figures(finished)["queryable"] == 50
    assert _everything(endpoint_url) == before


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded file lies beside this checkout only")
def test_recorded_events_in_foreign_field_names_are_audited_the_same_way() -> None:
    finished = demo(
        *("--from", str(RECORDED), "--events", "300", "--json"),
        *("--map", "serial=sn", "--map", "occurred_at=timestamp"),
    )

    assert finished.returncode == 0, finished.stderr
    found = figures(finished)
    assert (found["produced"], found["missing"], found["unexpected"]) == (300, 0, 0)
    assert found["queryable"] == found["distinct"]
    assert found["quarantined"] == 5


def test_the_verdict_is_no_when_something_is_missing(tmp_path: Path) -> None:
    """What is missing here is what the API does not show: a fault put around it, not into it."""
    (tmp_path / "sitecustomize.py").write_text(FORGETFUL)

    finished = demo("--events", "100", "--json", environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})

    assert finished.returncode == 1, finished.stderr
    assert figures(finished)["missing"] == 10
    assert figures(finished)["queryable"] == 90


def test_ctrl_c_ends_everything_it_started_with_a_word_about_how_far_it_got() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "demo", "--events", "20000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The mapping's sandboxes start with the first records.
    assert eventually(lambda: "local.sandbox.worker" in " ".join(command_lines(process.pid).values()))
    started = command_lines(process.pid)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert out == ""
    assert "interrupted after" in err
    assert "Traceback" not in err
    assert alive(started) == {}


def test_a_stage_that_holds_something_already_is_refused(stage: str) -> None:
    boto3.resource("dynamodb").Table(settings.history_table()).put_item(
        Item={"serial": "SN-1", "position": "p"}
    )

    finished = demo("--stage", stage, "--json")

    assert finished.returncode == 3
    assert f"error: stage {stage} at {os.environ['AWS_ENDPOINT_URL']} holds events already" in finished.stderr
    assert says("stage … at …", finished.stderr)


def test_a_demo_that_comes_to_no_end_says_so_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(IMPATIENT)

    finished = demo("--events", "3000", environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})

    assert finished.returncode == 1, finished.stderr
    assert says("nothing has happened", finished.stderr)
    assert says("NOT everything is there", finished.stdout)
    assert "the pipeline did not come to an end" in finished.stdout


#: Python runs it at the start of every process; in the demo's nothing is waited for.
IMPATIENT = """
import sys

if sys.orig_argv[1:4] == ["-m", "local", "demo"]:
    import local.commands.demo

    local.commands.demo.wait_until_drained = lambda *_: False
"""

#: The same; in the API's it takes the first event off each page.
FORGETFUL = """
import sys

if "local.api_server" in " ".join(sys.orig_argv):
    import chalicelib.tables.history

    complete = chalicelib.tables.history.History.page

    def page(self, *args, **kwargs):
        found = complete(self, *args, **kwargs)
        return chalicelib.tables.history.Page(found.events[1:], found.last_read)

    chalicelib.tables.history.History.page = page
"""


def _everything(url: str) -> tuple[list[str], list[str], list[str]]:
    streams = boto3.client("kinesis", endpoint_url=url).list_streams()["StreamNames"]
    tables = boto3.client("dynamodb", endpoint_url=url).list_tables()["TableNames"]
    queues = boto3.client("sqs", endpoint_url=url).list_queues().get("QueueUrls", [])
    return sorted(streams), sorted(tables), sorted(queues)


def test_when_the_endpoint_dies_the_demo_does_not_wait_for_what_cannot_come(tmp_path: Path) -> None:
    """The functions cannot reach DynamoDB, so everything is sent and waited for when it happens."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "local", "demo", "--events", "5000", "--json", "--fault", "outage=30m"),
            *("--fault", "timeout=0.0001"),  # functions have seconds then, and stopping waits for them
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert eventually(
            lambda: any("outage" in path.read_text() for path in tmp_path.glob("*/faults/tally"))
        )
        processes = command_lines(process.pid)
        [endpoint] = [pid for pid, command in processes.items() if "-m local.emulator " in f"{command} "]
        os.kill(endpoint, signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == 3
    assert re.search(
        r"^error: the AWS endpoint at \S+ is gone, and everything that was put there; run it again$",
        said,
        re.M,
    )
    assert "Traceback" not in said
    assert alive(processes) == {}
