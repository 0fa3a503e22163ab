"""A payload as text, decoded as far as possible, with the spot marked that the reason is about."""

import json
import re
from collections.abc import Iterator

from chalicelib.stream.kpl import is_aggregate
from cli.output import printable

#: More of a payload than this is for a file, not for a terminal.
SHOWN_CHARS = 4000

#: Characters shown on either side of the marked spot.
_AROUND = 36

# How the sentences of an invalid event name what they are about (chalicelib/domain/events.py).
_FIELD = re.compile(r"`(\w+)`:|'(.+?)': no such field|the key '(.+?)' stands (?P<twice>twice)")

_TOKEN = re.compile(r'"(?:[^"\\]|\\.?)*"?|[{}\[\],]')


def shown(payload: bytes, sentence: str) -> Iterator[str]:
    """Yield lines that show a payload and, where the reason is about a spot in it, that spot."""
    text = payload.decode(errors="backslashreplace")
    more = len(text) - SHOWN_CHARS
    yield from printable(text[:SHOWN_CHARS], "\n").split("\n")
    if more > 0:
        yield f"… {more} more; --payload writes all of it"
    spot = _spot(payload, sentence)
    if spot is None:
        return
    text, start, end = spot
    before = text[max(0, start - _AROUND) : start].rpartition("\n")[2]
    after = text[end : end + _AROUND].partition("\n")[0]
    before, here = printable(before), printable(text[start:end]) or " "
    yield ""
    yield f"    {before}{here}{printable(after)}"
    yield f"    {' ' * _width(before)}{'^' * max(1, _width(here))}"


def _spot(payload: bytes, sentence: str) -> tuple[str, int, int] | None:
    """Return the text and the part of it that the reason is about; None when it is about no spot."""
    if is_aggregate(payload):
        return None
    try:
        text = payload.decode()
    except UnicodeDecodeError as exc:
        before = payload[: exc.start].decode()
        wrong = payload[exc.start : exc.end].decode(errors="backslashreplace")
        return (
            before + wrong + payload[exc.end :].decode(errors="backslashreplace"),
            len(before),
            len(before) + len(wrong),
        )
    try:
        json.loads(text, parse_int=str)  # int() refuses numbers of more than 4,300 digits
    except json.JSONDecodeError as exc:
        return text, exc.pos, min(exc.pos + 1, len(text))
    except RecursionError:
        return None
    if (named := _FIELD.match(sentence)) is None:
        return None
    name = next(group for group in named.groups() if group is not None)
    for depth, key, start, end, is_repeated in _keys(text):
        if ascii(key)[1:-1] == name and (is_repeated if named["twice"] else depth == 1):
            return text, start, end
    return None


def _keys(text: str) -> Iterator[tuple[int, str, int, int, bool]]:
    """Yield the keys in JSON: depth, key, start, end, and whether its object had the key before."""
    seen: list[set[str] | None] = []  # by depth; None is an array
    comes_key = False
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        match text[start]:
            case '"' if comes_key and seen[-1] is not None:
                key: str = json.loads(token[0])
                yield len(seen), key, start, end, key in seen[-1]
                seen[-1].add(key)
                comes_key = False
            case "{":
                seen.append(set())
                comes_key = True
            case "[":
                seen.append(None)
                comes_key = False
            case "}" | "]":
                seen.pop()
            case ",":
                comes_key = seen[-1] is not None


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
