"""A Kinesis that nobody here has written, for tests of resharding.

Kinesalite (npm, pinned in package.json) closes a parent as Kinesis does: it is read to its end, which has a
null NextShardIterator, and ListShards goes on listing it.  The embedded endpoint does so because we made it
(local/emulator/patches/kinesis_resharding.py): what both do the same is less likely to be our idea alone.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from cli.paths import ROOT

_SERVER = """
const options = { createStreamMs: 0, updateStreamMs: 0, deleteStreamMs: 0, shardLimit: 1000 }
const server = require('kinesalite')(options)
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume()
"""


def missing() -> str | None:
    """What kinesalite cannot run without; None when it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (ROOT / "node_modules" / "kinesalite").is_dir():
        return "kinesalite is not installed; run `npm ci --ignore-scripts`"
    return None


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The URL of a kinesalite of our own.  Skips the test where it cannot run, fails there in CI."""
    if (reason := missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(f"resharding must be tested in CI, but {reason}")
        pytest.skip(reason)
    # It leaves when its standard input ends, so when this process does, however that comes about.
    with subprocess.Popen(
        ["node", "-e", _SERVER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port.isdigit(), "kinesalite did not start"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
