"""Budgets of a cold start, as lists of what may be imported by then.

Time is measured by `python -m benchmarks cold`; here is what it is made of, which no slow machine changes.
What a list does not name is a decision: is it worth its milliseconds at every cold start?
"""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.harness import dataset, measure
from cli.paths import ROOT
from tests.support.waiting import PATIENCE_S

#: What botocore brings for a client, and cannot do without.
BOTOCORE = {"botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"}
RUNTIME = {"chalice", "msgspec", "typing_extensions", "aws_lambda_powertools", *BOTOCORE}

COMMON = {"deadline", "errors", "raw_call", "settings", "strict_json", "text", "wiring"}
TABLES = {f"tables.{name}" for name in ("history", "errors", "items", "markers")}
TELEMETRY = {f"telemetry.{name}" for name in ("logs", "metrics", "tracing")}
DOMAIN = {f"domain.{name}" for name in ("events", "instants", "lifecycle", "voids")}
STORING = {
    *COMMON | TABLES | TELEMETRY | DOMAIN,
    *("cpu_affinity", "ingest.batch", "ingest.poison", "ingest.writers"),
    *("stream.kpl", "stream.protobuf", "stream.records", "tables.cases", "tables.quarantine"),
}
READING = {
    *COMMON | TABLES | TELEMETRY | DOMAIN,
    *(
        f"api.{name}"
        for name in (
            "auth",
            "cursors",
            "negotiation",
            "queries",
            "representations",
            "responses",
            "routes",
            "size",
            "views",
            "walk",
        )
    ),
    *(f"tables.{name}" for name in ("access", "token", "token_cache")),
}

HANDLE = """
import json, sys
before = set(sys.modules)
import app
class Context:
    aws_request_id = function_name = "cold"
    def get_remaining_time_in_millis(self): return 60_000
handler, event = json.loads(sys.argv[1])
getattr(app, handler)(event, Context())
sys.stderr.write("imported: " + " ".join(set(sys.modules) - before))
"""


def imported(script: str, argument: str, url: str = "http://127.0.0.1:1") -> tuple[set[str], set[str]]:
    """What a process has imported after this: packages that are not Python's own, and modules of ours."""
    ran = subprocess.run(
        [sys.executable, "-c", script, argument],
        cwd=ROOT,
        env=measure.child_environment(url),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    _, said, names = ran.stderr.rpartition("imported: ")
    assert said, ran.stderr
    modules = {name for name in names.split() if not name.startswith("__")}
    packages = {name.partition(".")[0] for name in modules}
    ours = {name.partition(".")[2] for name in modules if name.startswith("chalicelib.")}
    rooms = {name.rpartition(".")[0] for name in ours}
    return packages - set(sys.stdlib_module_names) - {"app", "chalicelib"}, ours - rooms


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with measure.stub() as url:
        yield url


def test_importing_app_brings_chalice_and_settings_and_nothing_else() -> None:
    script = HANDLE.partition("class Context")[0] + HANDLE.splitlines()[-1]

    packages, ours = imported(script, "")

    assert packages == {"chalice"}
    assert ours == {"errors", "settings"}


def test_a_first_record_brings_what_it_takes_to_store_it(url: str) -> None:
    (event,) = dataset.lambda_events(dataset.wire_events(1, 1))

    packages, ours = imported(HANDLE, json.dumps(["process_lifecycle", event]), url)

    assert packages <= RUNTIME
    assert ours <= STORING
    assert "ingest.batch" in ours


def test_a_first_lookup_brings_what_it_takes_to_answer_it(url: str) -> None:
    event = dataset.http_event("/products/{serial}", "SN-1")

    packages, ours = imported(HANDLE, json.dumps(["app", event]), url)

    assert packages <= RUNTIME
    assert ours <= READING
    assert "api.routes" in ours


def test_a_first_lookup_by_epc_brings_what_reads_one_and_no_library(url: str) -> None:
    event = dataset.http_event("/products/{serial}", "urn:epc:id:sgtin:0614141.107346.S77")

    packages, ours = imported(HANDLE, json.dumps(["app", event]), url)

    assert packages <= RUNTIME
    assert {name for name in ours - READING if not name.startswith("epcis.")} == set()
    assert not {"epcis.capture", "epcis.export", "epcis.schema"} & ours
    assert "epcis.lookup" in ours
