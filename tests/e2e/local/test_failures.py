"""The failure path as a person starts it: with faults, with shard limits, and as a story."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.exits import EXIT_FAILED, EXIT_OK
from cli.paths import ROOT
from tests.support.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path: Path) -> None:
    os.environ["TMPDIR"] = str(tmp_path)


def local(*options: str) -> tuple[int, dict[str, Any], str]:
    """What `python -m local …` answers: its exit code, the figures, and what it said."""
    ran = subprocess.run(
        [sys.executable, "-m", "local", *options, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return ran.returncode, json.loads(ran.stdout.splitlines()[-1]), ran.stderr


def test_nothing_is_lost_with_every_fault_at_once() -> None:
    faults = ("throttle=0.2", "crash=0.05", "duplicate=0.1", "outage=2s")
    options = [option for fault in faults for option in ("--fault", fault)]

    code, figures, said = local("demo", "--events", "4000", "--seed", "7", *options)

    assert code == EXIT_OK, said
    assert (figures["queryable"], figures["missing"], figures["unexpected"]) == (4000, 0, 0)
    assert (figures["quarantined"], figures["not_quarantined"]) == (5, 0)
    assert figures["faults"]["outage"] > 0
    assert figures["faults"]["throttled"] > 0
    # Three seconds of outage and some crashes cost a few invocations, not one for each of 4,000 records.
    assert figures["invocations"] < 200


def test_shards_that_refuse_what_awss_would_slow_a_burst_down_and_lose_nothing() -> None:
    code, figures, said = local("demo", "--events", "9000", "--seed", "7", "--shard-limits")

    assert code == EXIT_OK, said
    assert (figures["queryable"], figures["missing"], figures["unexpected"]) == (9000, 0, 0)
    assert figures["retried"] > 0


def test_a_bug_on_one_product_is_named_by_the_verdict_and_costs_no_other() -> None:
    serial = "SN-BUG"
    events = [
        {
            "serial": f"SN-{n}" if n != 20 else serial,
            "type": "note",
            "occurred_at": f"2026-01-01T00:00:{n:02d}Z",
        }
        for n in range(40)
    ]
    path = Path(os.environ["TMPDIR"]) / "events.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))

    code, figures, said = local(
        "demo", "--from", str(path), "--poison", "0", "--fault", f"handler-bug={serial}"
    )

    assert code == EXIT_FAILED, said
    assert (figures["queryable"], figures["missing"]) == (39, 1)
    assert (figures["dead_lettered"], figures["wrongly_quarantined"]) == (1, 1)
    assert figures["bisects"] >= 1


def test_the_story_of_a_failure_ends_with_nothing_missing() -> None:
    code, figures, said = local("demo-failures")

    assert code == EXIT_OK, said
    assert (figures["missing"], figures["unexpected"]) == (0, 0)
    assert figures["queryable"] == figures["produced"]
    assert (figures["bisected_from"], figures["bisects"], figures["dead_letter_messages"]) == (200, 8, 1)
    assert figures["triaged"]["handler_error"] == 1
    assert (figures["quarantined"], figures["redriven"]) == (2, 1)
    # During the outage requests and invocations follow time, not records.
    assert 0 < figures["outage_requests_unanswered"] < 200
    assert figures["outage_invocations"] < 100
    assert figures["outage_failed_invocations"] == 0
