"""docs/deploying.md's rehearsal as somebody types it: its commands, as they stand, on the embedded endpoint.

On a copy of the project, because `chalice deploy` writes its notes there.  Only the port is another one, and
botocore looks sooner whether a function is ready.
"""

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.loaders import Loader

from cli.exits import EXIT_FAILED, EXIT_OK
from cli.stage import ROOT
from local import endpoint
from tests.processes import until

PAGE = (ROOT / "docs" / "deploying.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()
REHEARSAL = "A rehearsal without an account"


def commands(heading: str) -> list[str]:
    """The commands in the indented blocks of a section."""
    [text] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.M | re.S)
    return [line.strip() for line in re.findall(r"^ {4}\S.*$", text, re.M)]


class Terminal:
    """A terminal in the project's directory, with `make install`'s programs, where somebody says yes."""

    def __init__(self, project: Path, environment: dict[str, str]) -> None:
        self._project = project
        self._environment = environment

    def __call__(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the page; `export` holds for those after it."""
        if command.startswith("export "):
            self._environment |= dict(word.split("=", 1) for word in shlex.split(command)[1:])
            return subprocess.CompletedProcess(command, EXIT_OK, "", "")
        ours, its = pty.openpty()
        try:
            os.write(ours, b"y\n")
            return subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self._project,
                env=self._environment,
                stdin=its,
                capture_output=True,
                text=True,
                timeout=120,
            )
        finally:
            os.close(its)
            os.close(ours)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[str]:
    """The port of an endpoint such as `make serve` starts, of this test's own: the stage has a fixed name."""
    running = endpoint.start(log_path=tmp_path / "endpoint.log")
    yield running.url.rpartition(":")[2]
    running.stop()


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in which nothing has been exported yet."""
    project = tmp_path / "project"
    (project / ".chalice").mkdir(parents=True)
    for name in ("app.py", "requirements.txt", *(f".chalice/{each.name}" for each in _chalice_s())):
        shutil.copy(ROOT / name, project / name)
    for name in ("chalicelib", "cli", "infra", "local", "ops", "producer"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    nobody_s = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LIFECYCLE_"))
    }
    nowhere = {name: os.environ[name] for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
    return Terminal(
        project,
        {
            **nobody_s,
            **nowhere,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_DATA_PATH": str(_impatient(tmp_path / "botocore-data")),
        },
    )


def _chalice_s() -> list[Path]:
    return sorted((ROOT / ".chalice").glob("*.json"))


def _impatient(directory: Path) -> Path:
    """botocore's waiters for Lambda with a pause of half a second: functions are ready here within one."""
    api = directory / "lambda" / "2015-03-31"
    api.mkdir(parents=True)
    waiters = Loader().load_service_model("lambda", "waiters-2")
    for waiter in waiters["waiters"].values():
        waiter["delay"] = 0.5
    (api / "waiters-2.json").write_text(json.dumps(waiters))
    return directory


def test_the_rehearsal_works_as_it_stands(terminal: Terminal, port: str) -> None:
    exports, stage, stack, deploy, arm, doctor, send, quarantine, delete = commands(REHEARSAL)
    # The same commands as on AWS, only that the stage is exported.
    assert [deploy, f"{arm} --stage dev", f"{doctor} --stage dev"] == commands("With chalice deploy")[1:4]

    def does(command: str) -> str:
        answer = terminal(command)
        assert answer.returncode == EXIT_OK, f"{command}\n{answer.stdout}{answer.stderr}"
        return answer.stdout

    assert ":4566 " in exports
    does(exports.replace(":4566 ", f":{port} "))
    does(stage)
    assert re.search(r"Add +Events +AWS::Kinesis::Stream", does(stack))
    assert "Rest API URL: https://" in does(deploy)
    assert "process_lifecycle" in does(arm)
    assert does(arm) == ""  # nothing differs any more

    # What operating.md says to run about it, every morning and after changes by hand.
    of_mappings = set(re.findall(r"^ {4}(python -m ops mapping .*?)(?: {2,}.*)?$", OPERATING, re.M))
    assert of_mappings == {"python -m ops mapping check", "python -m ops mapping apply"}
    assert [does(each) for each in sorted(of_mappings)] == ["", ""]

    looked = terminal(doctor)
    assert looked.returncode == EXIT_FAILED
    assert re.findall(r"^FAIL  (.*?) \(", looked.stdout, re.M) == [
        "stream, tables and queues are encrypted",
        "tables can be restored to any second of the last 35 days",
        "only who has a token may ask",
        "every alarm is there",
    ]

    sent = terminal(send)
    assert re.match(
        r"sent 5\d records to lifecycle-dev-events .*: 50 events, \d+ duplicates?, 2 poison;", sent.stdout
    )
    assert until(lambda: does(quarantine).count("lifecycle-dev-events/shardId-") == 2), does(quarantine)
    [serial] = re.findall(r"one of the products: (\S+)", sent.stderr)
    assert until(lambda: terminal(f"python -m ops history {serial}").returncode == EXIT_OK)

    # What the page says of a second deployment.
    again = terminal(deploy)
    assert again.returncode != EXIT_OK
    assert re.search(r"NotFoundException.*PutRestApi", again.stdout + again.stderr, re.DOTALL)
    assert "LIFECYCLE_PARTIAL_RESPONSES" in does(arm)

    assert "Deleting IAM role: lifecycle-dev-process_lifecycle" in does(delete)
    does(quarantine)  # the data stack is left alone
    assert "deploy first: docs/deploying.md" in terminal("python -m ops mapping check").stderr
