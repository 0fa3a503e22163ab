"""A line of a timeline: bounded, whatever the event holds, so that a page fits into a Lambda response."""

import json

import pytest

from chalicelib.api import pages, timeline, views
from chalicelib.api.queries import EventsQuery
from chalicelib.domain import events, lifecycle, voids
from chalicelib.domain.voids import Voiding
from chalicelib.tables.history import StoredEvent

#: What the pages promise: Lambda takes 6,291,556 bytes, headers and the function's own wrapping included.
MAX_RESPONSE = 6_000_000

#: Every character of a hostile field is one of these: what it costs in a response is in the comment.
CHARACTERS = {
    "astral": "\U0001f600",  # \ud83d\ude00: 12
    "control": "\x1b",  # [U+001B]: 8
    "direction": "\u202e",  # [U+202E]: 8
    "quote": '"',  # &#34;: 5
    "accent": "é",  # \u00e9: 6
    "script": "<",  # &lt;: 4
}


def hostile(number: int, character: str, metadata: str | None = None) -> StoredEvent:
    """An event with everything as long as the table can have it."""
    many = {character * 70 + str(name): character * 2000 for name in range(60)}
    return StoredEvent(
        serial="S" + ":" * 127,
        type="a" + "_" * 59 + f"{number:04d}",
        occurred_at=f"2026-01-01T00:00:00.{'1' * 5000}+05:30",
        event_id=character * 128,
        source=character * 128,
        metadata=metadata or json.dumps(many, ensure_ascii=False),
        position=f"2025-12-31T18:30:00.111111Z#{number:032x}",
        recorded_at_ms=1790000000123,
    )


def serialised(text: str) -> int:
    """The bytes of a text in Lambda's response: JSON in ASCII."""
    return len(json.dumps(text))


def page_of(shown: list[StoredEvent]) -> str:
    page = views.EventPage(shown[0].serial, shown, lifecycle.Reading({}), None)
    return pages.events(page, EventsQuery(), "?cursor=" + "x" * 300, "../../")


METADATA = {
    "short names and values": "{" + ",".join(f'"{n}":"<\\n<"' for n in range(5000)) + "}",
    "nested": '{"a":' + "[" * 400 + "]" * 400 + ',"b":' + '[{"c":[' * 2 + "]}]" * 2 + "}",
    "pretty": "{" + ",".join(f'"k{n}":[[[[[[[[1,2,3]]]]]]]]' for n in range(300)) + "}",
}


@pytest.mark.parametrize(
    "event",
    [
        *(pytest.param(lambda n, c=c: hostile(n, c), id=name) for name, c in CHARACTERS.items()),
        *(pytest.param(lambda n, m=m: hostile(n, "\U0001f600", m), id=name) for name, m in METADATA.items()),
    ],
)
def test_a_line_stays_within_its_bytes(event) -> None:  # type: ignore[no-untyped-def]
    one, many = [event(0)], [event(number) for number in range(20)]

    a_line = (serialised(page_of(many)) - serialised(page_of(one))) / (len(many) - 1)

    print(f"{a_line:,.0f} bytes a line")
    assert a_line < timeline.MAX_LINE_BYTES


def test_a_full_page_of_the_longest_lines_fits_into_a_response() -> None:
    everything_else = serialised(page_of([hostile(0, "\U0001f600")]))

    assert timeline.MAX_EVENTS * timeline.MAX_LINE_BYTES + everything_else < MAX_RESPONSE
    assert views.NEWEST <= timeline.MAX_EVENTS


def test_voids_that_take_out_everything_stay_within_bounds_too() -> None:
    """Each event is void of all others, as no history can have it: every link that a line can have."""
    shown = [hostile(number, "\U0001f600") for number in range(timeline.MAX_EVENTS)]
    elsewhere = [f"2025-12-31T18:30:00.111111Z#{number:032x}" for number in range(5000, 5400)]
    why = "\U0001f600" * voids.MAX_WHY
    voided = {position: Voiding(shown[0].position, why) for position in elsewhere}
    voided |= {event.position: Voiding(elsewhere[0], why) for event in shown}

    lines = timeline.Timeline(shown, "../products/" + "%3A" * 128 + "/events", (), voided).lines

    assert len(lines[0].takes_out) == timeline.MAX_TAKEN_OUT
    assert all(line.voided_why == why for line in lines)
    size = sum(serialised(f"{line.takes_out}{line.names}{line.voided_why}{line.voided_by}") for line in lines)
    assert size / len(lines) < 8_000


def test_an_unknown_type_has_the_mark_of_others_and_is_named() -> None:
    stored = hostile(1, "x", "{}")

    (line,) = timeline.Timeline([stored], "x").lines

    assert line.mark == timeline.OTHER
    assert line.type == stored.type
    assert events.is_type(line.type)
