"""cold: from the start of a process to its first answer, against a bare boto3 client.

Wall time as the one who started it sees it, interpreter included, against a stub that answers at once.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.harness import dataset, measure
from benchmarks.harness.measure import Line, Plan
from cli.paths import ROOT

#: A start takes a third of a second and varies more than anything else here.
STARTS_PER_RUN, QUICK_STARTS = 5, 2

_BARE = "import boto3; boto3.client('dynamodb')"
_IMPORT = "import app"
_RECORD = """
import json, sys, app
from benchmarks.contenders import Context
app.process_lifecycle(json.loads(sys.argv[1]), Context())
"""
_LOOKUP = """
import json, sys, app
from benchmarks.contenders import Context
assert app.app(json.loads(sys.argv[1]), Context())["statusCode"] == 200
"""


def run(plan: Plan) -> Iterator[Line]:
    """A line per thing that a process does first.  They take turns, start after start."""
    data = dataset.wire_events(1, 1)
    record = json.dumps(next(dataset.lambda_events(data)))
    lookup = json.dumps(dataset.http_event("/products/{serial}", dataset.serial_of(data[0])))
    first = {
        "bare_client": (_BARE,),
        "import_app": (_IMPORT,),
        "first_record": (_RECORD, record),
        "first_lookup": (_LOOKUP, lookup),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in first}
    with measure.stub() as url:
        _seconds(url, *first["first_record"])  # byte code is compiled, and there is an event to look up
        for number in range(plan.runs):
            plan.say(f"cold: run {number + 1} of {plan.runs}")
            for _ in range(QUICK_STARTS if plan.quick else STARTS_PER_RUN):
                for name, script in first.items():
                    runs[name].append({"ms": _seconds(url, *script) * 1000})
    for name, done in runs.items():
        yield measure.line({"benchmark": "cold", "contender": name}, done)


def _seconds(url: str, script: str, *arguments: str) -> float:
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", f"{script}\nimport os\nos.write(2, b'!')", *arguments],
        cwd=ROOT,
        env=measure.child_environment(url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None, "asked for above"
        said = process.stderr.read(1)
        seconds = time.perf_counter() - started
        said += process.stderr.read()
    if process.returncode != 0 or said != b"!":
        raise measure.ContenderError(f"{script.strip()}: {said.decode()[-2000:]}")
    return seconds
