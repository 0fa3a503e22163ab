"""Text on standard error, made harmless first: it may quote input that holds escape sequences."""

import sys


def to_stderr(text: str) -> None:
    """Print progress, a note or an error on standard error, at once."""
    print(printable(text, "\n"), file=sys.stderr, flush=True)


def printable(text: str, keep: str = "") -> str:
    """Return `text` with every character escaped that a terminal would obey, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in keep
        else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
