"""What has become of each of the things a command was asked for, and who asked."""

import argparse
import getpass
import os
from types import TracebackType

from ops.output import say, tell, tell_json


class Verdicts:
    """Tells a verdict an id, and at the end, after Ctrl-C and errors too, how many got which."""

    def __init__(self, args: argparse.Namespace, last_word: str = "") -> None:
        self._as_json = args.json
        self._last_word = last_word
        self._counts: dict[str, int] = {}

    def tell(self, id_: str, verdict: str, because: str = "") -> None:
        """One line, or one JSON object, on standard output."""
        self._counts[verdict] = self._counts.get(verdict, 0) + 1
        if self._as_json:
            tell_json({"id": id_, "verdict": verdict, "because": because})
        else:
            tell(f"{id_}  {verdict}{': ' if because else ''}{because}")

    def count(self, verdict: str) -> int:
        """How many got this verdict."""
        return self._counts.get(verdict, 0)

    def __enter__(self) -> "Verdicts":
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._counts:
            say(", ".join(f"{count} {verdict}" for verdict, count in self._counts.items()))
        elif error is None:
            say("nothing to do")
        if self._last_word:
            say(self._last_word)


def user(named: str | None) -> str:
    """Who this is, for the audit trail: as named, or the operating system's user."""
    if named is not None:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without a name for its user
        return f"uid {os.getuid()}"
