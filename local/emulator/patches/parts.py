"""Parts of MiniStack as the patches take and replace them; one that the installed version lacks is an error.

A patch reaches into a package that promises nothing about its inside.  Every part that a patch uses is asked
for here when the emulator starts, so that a new version fails then and by name, and never runs unpatched.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any


class PatchError(Exception):
    """The installed MiniStack lacks a part that a patch needs.  The message names both, and the remedy."""


def part(module: Any, *path: str) -> Any:
    """Return the part of a MiniStack module at the end of `path`: attributes, and keys of dicts.

    Raises PatchError.
    """
    found = module
    for name in path:
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
        if found is None:
            where = ".".join((module.__name__.removeprefix("ministack.services."), *path))
            raise PatchError(
                f"ministack {version('ministack')} has no {where}; install the version that "
                "requirements-dev.txt pins: `make install`"
            )
    return found


def replace(module: Any, *path: str) -> Callable[[Callable[..., Any]], None]:
    """Decorate a function to take the place of a part, which it gets as its first argument.

    Raises PatchError when there is no such part.
    """
    original = part(module, *path)
    holder = part(module, *path[:-1])

    def put(function: Callable[..., Any]) -> None:
        patched = partial(function, original)
        if isinstance(holder, dict):
            holder[path[-1]] = patched
        else:
            setattr(holder, path[-1], patched)

    return put
