"""Contenders in fresh processes, several runs, medians and spread."""

import contextlib
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cli.paths import ROOT

#: One measured thing: which benchmark, which contender, under which circumstances, and its figures.
Line = dict[str, Any]

#: A contender that takes longer has hung.
_MAX_S = 600

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Plan(NamedTuple):
    """How much to run."""

    runs: int
    quick: bool
    say: Callable[[str], None]


class ContenderError(Exception):
    """A contender's process failed.  The message has the end of what it said."""


def child(function: str, url: str, /, environment: Mapping[str, str] | None = None, **given: Any) -> Any:
    """What `module:function` returns for these arguments in a process of its own.

    boto3 there talks to `url` with nobody's credentials.  Raises ContenderError.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.child", function, json.dumps(given)],
        cwd=ROOT,
        env=child_environment(url, **(environment or {})),
        capture_output=True,
        text=True,
        timeout=_MAX_S,
    )
    if ran.returncode != 0:
        raise ContenderError(f"{function}: {ran.stderr[-2000:]}")
    return json.loads(ran.stdout)


def child_environment(url: str, **more: str) -> dict[str, str]:
    """The environment of a contender: this one's, with nothing of the developer's about AWS."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LIFECYCLE_"))}
    ours = {
        "LIFECYCLE_STAGE": "bench",
        "LIFECYCLE_PARTIAL_RESPONSES": "on",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return {**own, **CREDENTIALS, **ours, "AWS_ENDPOINT_URL": url, **more}


@contextlib.contextmanager
def stub(latency_ms: float = 0) -> Iterator[str]:
    """A stub DynamoDB in its own process; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.harness.stub", "--latency-ms", str(latency_ms)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None, "asked for above"
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate(timeout=10)


def ask_stub(url: str, path: str) -> dict[str, int]:
    """The stub's own answer: `/reset` or `/counts`."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("POST", path)
    answer: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def line(about: Mapping[str, Any], runs: Sequence[Mapping[str, float]]) -> Line:
    """The medians of several runs, and what each of them gave."""
    each = {name: [rounded(run[name]) for run in runs] for name in runs[0]}
    figures = {name: rounded(statistics.median(values)) for name, values in each.items()}
    return {**about, **figures, "runs": len(runs), "each": each}


def rounded(value: float) -> float:
    """Four significant digits: no run says more."""
    return float(f"{value:.4g}")


def header() -> Line:
    """What the figures were measured on."""
    import boto3
    import botocore
    import chalice

    return {
        "benchmark": "header",
        "python": platform.python_version(),
        "boto3": boto3.__version__,
        "botocore": botocore.__version__,
        "chalice": chalice.__version__,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": rounded(os.getloadavg()[0]) if hasattr(os, "getloadavg") else None,
        "commit": _commit(),
    }


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    try:
        ran = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # an unpacked archive
    return ran.stdout.strip()
