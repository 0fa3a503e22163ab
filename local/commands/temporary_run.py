"""A run on a stage of its own: the stage's name, a directory for the logs, the exit code."""

import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from cli.output import to_stderr
from local.aws import given_endpoint
from local.observers.counters import Counter


def stage() -> str:
    """Return the name of a temporary stage; unique on an endpoint that was given, where other runs may be."""
    return "demo" if given_endpoint() is None else f"demo-{uuid.uuid4().hex[:8]}"


def exit_code(watch: Counter, run: Callable[[Path], bool]) -> int:
    """Call `run` with a directory for its logs and return its exit code; Ctrl-C ends it.

    The directory is removed when `run` returns True or wrote no logs; otherwise it is named and kept.
    """
    logs = Path(tempfile.mkdtemp(prefix="lifecycle-demo-"))
    is_clean = False
    try:
        is_clean = run(logs)
    except KeyboardInterrupt:
        counts = watch.counts()
        to_stderr(f"interrupted after {counts.processed:,} records in {counts.invocations:,} invocations")
        return EXIT_INTERRUPTED
    finally:
        if is_clean or not any(logs.iterdir()):
            shutil.rmtree(logs, ignore_errors=True)
        else:
            to_stderr(f"the logs are in {logs}")
    return EXIT_OK if is_clean else EXIT_FAILED
