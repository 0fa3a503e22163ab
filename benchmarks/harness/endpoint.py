"""The embedded endpoint for a benchmark: started, its stack created, stopped."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3

from benchmarks.harness import measure
from local import stack
from local.emulator import process

STAGE = "bench"


@contextlib.contextmanager
def running() -> Iterator[str]:
    """A fresh endpoint with the stage's stream, tables and queues on it; its URL."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as directory:
        started = process.start(log_path=Path(directory) / "endpoint.log")
        try:
            credentials = measure.CREDENTIALS
            cloudformation = boto3.client(
                "cloudformation",
                endpoint_url=started.url,
                region_name=credentials["AWS_DEFAULT_REGION"],
                aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            )
            stack.ensure(cloudformation, STAGE)
            cloudformation.close()
            yield started.url
        finally:
            started.stop()
