"""An event's metadata as a page shows it: its members as text, within bounds.

What is shown of one event is bounded in characters, however it is nested and whatever it holds: at most
MAX_FACTS members, MAX_TEXT characters of one value and MAX_SHOWN of all together.  Values are read once,
never recursively, and numbers stay as they were written.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec

#: Characters of one value, of its name, and of all names and values of one event; members of one event.
MAX_TEXT, MAX_NAME, MAX_SHOWN, MAX_FACTS = 1000, 60, 2400, 40

#: Lines of one value.
MAX_LINES = 40

#: Facts in an event's line, the characters of each, and the members that are looked at for them.
MAX_GIST, MAX_GIST_TEXT, MAX_GIST_MEMBERS = 2, 80, 50

#: Members that say the most about an event, the most telling first; then the order of the metadata decides.
_TELLING = ("text", "note", "why", "reason", "work", "part", "dealer", "plant", "warehouse", "amount")

#: Members of a void that name what it takes out, which is shown as a link.
_NAMING = ("position", "event_id")

Members = Mapping[str, msgspec.Raw]


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One member of the metadata."""

    name: str
    text: str
    is_json: bool  # whether the text is JSON, and not text as it was recorded
    is_cut: bool  # whether there is more of it than is shown


class Facts(msgspec.Struct, frozen=True):
    """What is shown of an event's metadata, and how many members are not."""

    shown: list[Fact]
    left: int


_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def members(metadata: str) -> Members:
    """The members of the metadata; what cannot be read as an object is one text without a name."""
    try:
        return _decode(metadata)
    except (msgspec.DecodeError, RecursionError):
        return {"": msgspec.Raw(msgspec.json.encode(metadata))}


def facts(metadata: Members) -> Facts:
    """The members of the metadata, as many as there is room for; at least one where there is any."""
    shown: list[Fact] = []
    room = MAX_SHOWN
    for name, raw in metadata.items():
        fact = _fact(name, bytes(raw), min(MAX_TEXT, room))
        room -= len(fact.name) + len(fact.text)
        if room < 0 or len(shown) == MAX_FACTS:
            break
        shown.append(fact)
    return Facts(shown, len(metadata) - len(shown))


def gist(metadata: Members, is_void: bool) -> str:
    """The two most telling scalars on one line: a text speaks for itself, a number needs its name."""
    return " · ".join(islice(_scalars(metadata, _NAMING if is_void else ()), MAX_GIST))


def text_of(metadata: Members, names: tuple[str, ...], limit: int) -> str | None:
    """The first of these members that is a text which says something, on one line of `limit` characters."""
    for name in names:
        raw = bytes(metadata.get(name, b""))
        if raw.startswith(b'"') and (text := _one_line(raw, limit)):
            return text
    return None


def _scalars(metadata: Members, unsaid: tuple[str, ...]) -> Iterator[str]:
    telling = (name for name in _TELLING if name in metadata)
    for name in dict.fromkeys((*telling, *islice(metadata, MAX_GIST_MEMBERS))):
        raw = bytes(metadata[name])
        if name in unsaid or raw[:1] in (b"{", b"[", b"n"):  # nested, or null
            continue
        if raw.startswith(b'"'):
            if text := _one_line(raw, MAX_GIST_TEXT):
                yield text
        else:
            said = " ".join(name[:MAX_NAME].replace("_", " ").split())
            yield f"{said} {_cut(raw.decode(), MAX_GIST_TEXT)}"


def _fact(name: str, raw: bytes, room: int) -> Fact:
    is_text = raw.startswith(b'"')
    text = msgspec.json.decode(raw, type=str) if is_text else _printed(raw, room)
    lines = text[:room].split("\n", MAX_LINES)
    shown = "\n".join(lines[:MAX_LINES])
    return Fact(_cut(name, MAX_NAME), shown, not is_text, len(shown) < len(text))


def _printed(raw: bytes, room: int) -> str:
    """JSON over several lines where that fits, and on one line otherwise; longer than `room` where cut."""
    if len(raw) <= room:
        text = msgspec.json.format(raw, indent=2).decode()
        if len(text) <= room and text.count("\n") < MAX_LINES:
            return text
    # A character takes up to four bytes, so these hold more characters than there is room for.
    return raw[: 4 * (room + 1)].decode(errors="ignore")


def _one_line(raw: bytes, limit: int) -> str:
    text: str = msgspec.json.decode(raw)
    return _cut(" ".join(text[: 4 * limit].split()), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
