"""docs/deploying.md as somebody follows it: its commands in a terminal in a copy of the project.

A copy, because deploying leaves notes and packages there.  What is put into a command stands for what the
page leaves open (a port, a bucket, a commit); botocore looks sooner whether something is ready.
"""

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

from cli.exits import EXIT_OK
from cli.paths import ROOT
from tests.support import make
from tests.support.waiting import PATIENCE_S

PAGE = (ROOT / "docs" / "deploying.md").read_text()

#: The page says that it goes behind each `stack apply` on the embedded endpoint.
ON_THE_ENDPOINT = " --set Watching=off"

FILES = ("app.py", *sorted(path.name for path in ROOT.glob("*.txt")), "Makefile", ".gitignore")
FOLDERS = ("chalicelib", "cli", "infra", "local", "ops", "producer")

Ran = subprocess.CompletedProcess[str]


def section(heading: str, page: str = PAGE) -> str:
    """The text under a heading, up to the next one of any level."""
    [text] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page, re.M | re.S)
    return str(text)


def commands(heading: str, page: str = PAGE) -> list[str]:
    """The commands in the section's indented blocks, without what is said behind them."""
    text = section(heading, page).replace(" \\\n       ", "")
    return re.findall(r"^ {4}(?:\$ )?(\S.*?)(?: {3,}.*)?$", text, re.M)


def project(directory: Path, deployments: Path | None = None) -> Path:
    """A copy of the project in `directory`, with `make install` done: the programs are those of this run.

    `deployments` is another copy's package with the requirements in it, so that they are not fetched again.
    """
    (directory / ".chalice").mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, directory / name)
    for path in sorted((ROOT / ".chalice").glob("*.json")):
        shutil.copy(path, directory / ".chalice" / path.name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    if deployments is not None:
        shutil.copytree(deployments, directory / ".chalice" / "deployments")
    environment = directory / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        (environment / path.name).symlink_to(path)
    for stamp in make.STAMPS[:2]:
        (directory / stamp).unlink(missing_ok=True)
        (directory / stamp).touch()  # later than the requirements: `make install` has nothing to do
    return directory


class Terminal:
    """A terminal in the project's directory, with `make install`'s programs, where somebody says yes."""

    def __init__(self, project: Path, scratch: Path) -> None:
        self.project = project
        nobody_s = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LIFECYCLE_"))
        }
        nowhere = {name: os.environ[name] for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        self._environment = {
            **nobody_s,
            **nowhere,
            "PATH": f"{project / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "AWS_DATA_PATH": str(_impatient(scratch / "botocore-data")),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "a tester" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "nobody@example.org" for who in ("AUTHOR", "COMMITTER")},
        }

    def __call__(self, command: str) -> Ran:
        """Run a command of the page; `export` holds for those after it."""
        if command.startswith("export "):
            self._environment |= dict(word.split("=", 1) for word in shlex.split(command)[1:])
            return subprocess.CompletedProcess(command, EXIT_OK, "", "")
        ours, its = pty.openpty()
        try:
            os.write(ours, b"y\n")
            return subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self.project,
                env=self._environment,
                stdin=its,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
            )
        finally:
            os.close(its)
            os.close(ours)

    def does(self, command: str, placeholders: Mapping[str, str] | None = None) -> str:
        """Run a command that works, with values for what the page leaves open; what it prints."""
        for name, value in (placeholders or {}).items():
            command = command.replace(name, value)
        ran = self(command)
        assert ran.returncode == EXIT_OK, f"{command}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def commits(self, message: str) -> str:
        """What is in the project's directory as a commit; its name."""
        if not (self.project / ".git").exists():
            self.does("git init --quiet")
        self.does(f"git add --all && git commit --quiet --message '{message}'")
        return self.does("git rev-parse HEAD").strip()

    def edits(self, name: str, before: str, after: str) -> None:
        """Change a file of the project by hand."""
        path = self.project / name
        text = path.read_text()
        assert before in text, f"{name} has no {before}"
        path.write_text(text.replace(before, after))


def exported(port: str) -> str:
    """The rehearsal's first line, for an endpoint on this port."""
    exports = commands("A rehearsal without an account")[0]
    assert exports.startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:4566 ")
    return exports.replace(":4566 ", f":{port} ")


def address(on_aws: str, port: str) -> str:
    """Where the endpoint answers for the API that has this address on AWS, as the page says."""
    [(theirs, here)] = re.findall(r"`(https://ID\.\S+)` is here under\s+`(\S+)`", PAGE)
    found = re.fullmatch(re.escape(theirs).replace("ID", "(.*?)").replace("/dev/", "/(.*?)/"), on_aws.strip())
    assert found, on_aws
    return here.replace(":4566/", f":{port}/").replace("/ID/dev/", f"/{found[1]}/{found[2]}/")


def asked(url: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
    """Status and answer of a GET."""
    request = urllib.request.Request(url)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def _impatient(directory: Path) -> Path:
    """botocore's waiters looking ten times a second: here a function is ready within one, a stack at once."""
    for service, version in (("lambda", "2015-03-31"), ("cloudformation", "2010-05-15")):
        api = directory / service / version
        api.mkdir(parents=True)
        waiters = Loader().load_service_model(service, "waiters-2")
        for waiter in waiters["waiters"].values():
            waiter["delay"] = 0.1
        (api / "waiters-2.json").write_text(json.dumps(waiters))
    return directory
