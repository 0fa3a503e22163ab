"""Every regular expression of the code takes time in proportion to its input, hostile input included.

Patterns are found in the source.  From each pattern's own syntax tree inputs are made that repeat what it
repeats and then break off, which is where a pattern that backtracks tries again.
"""

import ast
import importlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.paths import ROOT

try:
    import re._constants as syntax  # type: ignore[import-not-found]
    import re._parser as parser  # type: ignore[import-not-found]
except ImportError:  # before Python 3.11
    import sre_constants as syntax
    import sre_parse as parser

PACKAGES = ("chalicelib", "infra", "cli", "producer", "local", "ops")
METHODS = {"match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split"}
#: Four times the input may take this much longer: linear is 4, quadratic 16.
MAX_RATIO = 9.0

#: Below this a time says nothing.
FLOOR_S = 0.004


class Use(NamedTuple):
    """A pattern and a method that the code calls on it."""

    where: str
    pattern: re.Pattern[Any]
    method: str


def uses(path: Path) -> Iterator[Use]:
    """The calls of a module: on patterns that it compiles, and on `re` itself."""
    place = path.relative_to(ROOT)
    module = importlib.import_module(".".join(place.with_suffix("").parts).removesuffix(".__init__"))
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        owner, method = ast.unparse(call.func.value), call.func.attr
        if method not in METHODS:
            continue
        if isinstance(pattern := getattr(module, owner, None), re.Pattern):
            yield Use(f"{place}:{owner}.{method}", pattern, method)
        elif owner == "re" and isinstance(call.args[0], ast.Constant):
            flags = [
                getattr(re, ast.unparse(word.value)[3:]) for word in call.keywords if word.arg == "flags"
            ]
            text = call.args[0].value
            yield Use(f"{place}:{text}", re.compile(text, *flags), method)


USES = {
    use.where: use
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__main__.py"
    for use in uses(path)
}


def shortest(items: Any) -> str:
    """A text that this part of a pattern matches."""
    return "".join(_shortest(op, value) for op, value in items)


def _shortest(op: Any, value: Any) -> str:
    if op is syntax.LITERAL:
        return chr(value)
    if op is syntax.NOT_LITERAL:
        return "!" if value != ord("!") else "?"
    if op is syntax.ANY:
        return "."
    if op is syntax.IN:
        return next(iter(members(value)))
    if op is syntax.BRANCH:
        return shortest(value[1][0])
    if op is syntax.SUBPATTERN:
        return shortest(value[-1])
    if op in (syntax.MAX_REPEAT, syntax.MIN_REPEAT):
        return shortest(value[2]) * max(value[0], 1 if value[1] == 1 else value[0])
    return ""  # assertions and positions


def members(items: Any) -> list[str]:
    """Some characters of a set."""
    if items[0][0] is syntax.NEGATE:
        banned = set(members(items[1:]))
        return [char for char in "a0 \\;\"'é/" if char not in banned] or ["~"]
    categories = {
        "CATEGORY_SPACE": " ",
        "CATEGORY_DIGIT": "0",
        "CATEGORY_WORD": "a",
        "CATEGORY_NOT_SPACE": "a",
    }
    found = []
    for op, value in items:
        if op is syntax.RANGE:
            found.append(chr(value[0]))
        elif op is syntax.CATEGORY:
            found.append(categories[str(value)])
        else:
            found.append(chr(value))
    return found


def repeats(items: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """What stands before each repetition without a small limit, and what it repeats."""
    for op, value in items:
        if op in (syntax.MAX_REPEAT, syntax.MIN_REPEAT):
            body = shortest(value[2]) or "a"
            if value[1] >= 100:
                yield before, body
                for inner_op, inner in value[2]:
                    if inner_op is syntax.IN:
                        yield from ((before, char) for char in members(inner))
            yield from repeats(value[2], before)
        elif op is syntax.SUBPATTERN:
            yield from repeats(value[-1], before)
        elif op is syntax.BRANCH:
            for branch in value[1]:
                yield from repeats(branch, before)
        before += _shortest(op, value)


def hostile(pattern: re.Pattern[Any], length: int) -> Iterator[Any]:
    """Texts that repeat what the pattern repeats, from one place on or from many, and then break off."""
    source = pattern.pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    tree = parser.parse(text, pattern.flags & ~re.UNICODE if isinstance(source, bytes) else pattern.flags)
    start = shortest(tree)
    pumped = {("", start), ("", " "), ("", "\\"), ("", '"'), ("", '\\"'), *repeats(tree)}
    for before, body in pumped:
        if not body:
            continue
        for made in (
            before + body * (length // len(body)) + "\x00",
            (before + body) * (length // len(before + body)) + "\x00",
            ("\x00" + before + body) * (length // len("\x00" + before + body)),
        ):
            yield made.encode("latin-1", "replace") if isinstance(source, bytes) else made


def caller(use: Use) -> Callable[[Any], object]:
    call = getattr(use.pattern, use.method)
    if use.method in ("sub", "subn"):
        return lambda text: call(b"" if isinstance(text, bytes) else "", text)
    if use.method == "finditer":
        return lambda text: list(call(text))
    return lambda text: call(text)


def fastest(call: Callable[[Any], object], text: Any) -> float:
    """The least CPU time of three tries."""
    took = []
    for _ in range(3):
        started = time.thread_time()
        call(text)
        took.append(time.thread_time() - started)
    return min(took)


def slow_inputs(use: Use, length: int = 2_000) -> list[Any]:
    call = caller(use)
    found = []
    for short, long in zip(hostile(use.pattern, length), hostile(use.pattern, 4 * length), strict=True):
        taken = fastest(call, long)
        if taken > FLOOR_S and taken > MAX_RATIO * fastest(call, short):
            found.append(long[:40])
    return found


@pytest.mark.parametrize("where", USES)
def test_a_pattern_takes_time_in_proportion_to_its_input(where: str) -> None:
    assert slow_inputs(USES[where]) == []


def test_patterns_are_found_where_they_stand() -> None:
    assert len(USES) > 30
    assert any("instants.py:_RFC3339.fullmatch" in where for where in USES)


@pytest.mark.parametrize(
    ("pattern", "method", "length"),
    [
        (r"(?:a+)+b", "fullmatch", 5),
        (r"\s*,\s*$", "search", 2_000),
        (r'"(?:[^"\\]|\\.)*"', "findall", 2_000),
        (r"[^/]*/21/", "search", 2_000),
    ],
)
def test_a_pattern_that_backtracks_is_found(pattern: str, method: str, length: int) -> None:
    assert slow_inputs(Use("here", re.compile(pattern), method), length)
