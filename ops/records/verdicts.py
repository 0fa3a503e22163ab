"""The verdict on each of the things a command was asked for, and the operator's name for the audit trail."""

import argparse
import getpass
import os
from types import TracebackType

from cli.output import to_stderr
from ops.output import print_json, print_line


class Verdicts:
    """Prints a verdict per id, and how many got which at the end, after Ctrl-C and errors too."""

    def __init__(self, args: argparse.Namespace, last_word: str = "") -> None:
        self._as_json = args.json
        self._last_word = last_word
        self._counts: dict[str, int] = {}

    def record(self, id_: str, verdict: str, because: str = "") -> None:
        """Print one line, or one JSON object, and count the verdict."""
        self._counts[verdict] = self._counts.get(verdict, 0) + 1
        if self._as_json:
            print_json({"id": id_, "verdict": verdict, "because": because})
        else:
            print_line(f"{id_}  {verdict}{': ' if because else ''}{because}")

    def count(self, verdict: str) -> int:
        """Return how many ids got this verdict."""
        return self._counts.get(verdict, 0)

    def __enter__(self) -> "Verdicts":
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._counts:
            to_stderr(", ".join(f"{count} {verdict}" for verdict, count in self._counts.items()))
        elif error is None:
            to_stderr("nothing to do")
        if self._last_word:
            to_stderr(self._last_word)


def user(named: str | None) -> str:
    """Return the operator's name for the audit trail: as given, or the operating system's user."""
    if named is not None:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without a name for its user
        return f"uid {os.getuid()}"
