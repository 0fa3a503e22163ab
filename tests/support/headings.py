"""The headings of docs/troubleshooting.md, for the tests in which the code says what they quote.

`tests/docs/test_troubleshooting.py` looks that there is such a test for each of them.
"""

import re
from functools import cache

from cli.paths import ROOT


@cache
def headings() -> tuple[str, ...]:
    """All of them, as they stand: with `…` for what differs from case to case."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    return tuple(re.findall(r"^## `(.*)`$", page, re.MULTILINE))


def beginning(start: str) -> str:
    """The one heading that begins so."""
    [found] = [heading for heading in headings() if heading.startswith(start)]
    return found


def says(start: str, said: str) -> bool:
    """Whether the whole heading that begins so is found in what somebody was told."""
    parts = map(re.escape, beginning(start).split("…"))
    return re.search("(?s:.*?)".join(parts), said) is not None
