"""The directory where the state and the logs of a pipeline are kept; one pipeline uses it at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from cli.paths import ROOT
from local.pipeline import PipelineError


def default_home() -> Path:
    """Return the directory of this checkout's pipeline: outside the checkout, in the user's state.

    `chalice local` watches the project's folder and starts again at every file that changes there, so logs
    in it would keep restarting it (chalice/cli/filewatch).  XDG Base Directory Specification for the rest.
    """
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    mark = blake2b(str(ROOT).encode(), digest_size=4).hexdigest()
    return state / "product-lifecycle-history" / f"{ROOT.name}-{mark}"


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of a pipeline whose state is kept."""

    directory: Path

    @property
    def state(self) -> Path:
        """The endpoint's state between two runs."""
        return self.directory / "state"

    @property
    def logs(self) -> Path:
        """The logs of the latest run."""
        return self.directory / "logs"

    @property
    def record(self) -> Path:
        """Which process the endpoint is."""
        return self.directory / "endpoint.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from serving or resetting here; the lock goes with its process.

        Raises PipelineError when another process has it, or the directory cannot be written.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            opened = (self.directory / "lock").open("a")
        except OSError as exc:
            raise PipelineError(
                f"nothing can be kept in {self.directory}: {exc.strerror}; name another directory with --home"
            ) from exc
        with opened as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise PipelineError(
                    f"a pipeline is running from {self.directory}; stop it first (Ctrl-C where it runs)"
                ) from exc
            yield
