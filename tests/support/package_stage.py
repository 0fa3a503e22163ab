"""A stage deployed as a package, as docs/deploying.md says: the terminal, and the commands of the page."""

import re
import time
from typing import Any

from cli.exits import EXIT_OK
from tests.support import deploying_project
from tests.support.deploying_project import ON_THE_ENDPOINT, Ran, Terminal, asked, commands
from tests.support.waiting import eventually

BUCKET = {"BUCKET": "deployments"}


MAKE_BUCKET, STACK, PACKAGE, UPLOAD, DEPLOY, KEEP, DOCTOR = commands("As a package")


ADDRESS, SEND, HISTORY, CURL = commands("Asking it")


BACK, LOOK, *DELETE = commands("Deployed as a package")


FINE = '{"status": "ok"}', '{"status": "fine"}'


class Stage:
    """The stage `prod` on an endpoint of this test's own, and the terminal to deploy it from."""

    def __init__(self, terminal: Terminal, port: str) -> None:
        self.terminal = terminal
        self.port = port
        self._deployed_at = 0.0

    def types(self, command: str, **placeholders: str) -> Ran:
        """Run a command of the page, with what the page says the endpoint needs."""
        if command.startswith("python -m ops stack apply "):
            command += ON_THE_ENDPOINT
        for name, value in (BUCKET | placeholders).items():
            command = command.replace(name, value)
        if not command.startswith("aws cloudformation deploy "):
            return self.terminal(command)
        # It calls its change set by the second in which it is made, and the last one is still there.
        assert eventually(lambda: int(time.time()) > int(self._deployed_at))
        ran = self.terminal(command)
        self._deployed_at = time.time()
        return ran

    def does(self, command: str, **placeholders: str) -> str:
        """Run a command that works; what it prints."""
        ran = self.types(command, **placeholders)
        assert ran.returncode == EXIT_OK, f"{ran.args}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def is_deployed(self) -> None:
        """Do what the page says deploys a package, as far as it is not only for the first time."""
        for command in (PACKAGE, UPLOAD, DEPLOY):
            self.does(command)

    def is_asked(self, path: str) -> tuple[int, dict[str, Any]]:
        """What the deployed API answers."""
        return asked(self.api() + path)

    def sends(self) -> str:
        """Send an event as the page says, and find it as the page says; its serial."""
        [serial] = re.findall(r"one of the products: (\S+)", self.types(SEND).stderr)
        assert eventually(lambda: self.types(HISTORY, SERIAL=serial).returncode == EXIT_OK)
        return str(serial)

    def makes_a_token(self) -> str:
        """A token as the page says."""
        [create, *_] = commands("Who may ask")
        made = self.types(create)
        token = re.search(r"^lch_\S+$", made.stdout, re.M)
        assert token, made
        return token[0]

    def api(self) -> str:
        """The API's address on the endpoint."""
        return deploying_project.address(self.does(ADDRESS), self.port)

    def status(self) -> str:
        """What the functions' stack has come to."""
        query = "--query 'Stacks[0].StackStatus' --output text"
        return self.does(f"aws cloudformation describe-stacks --stack-name lifecycle-prod {query}").strip()
