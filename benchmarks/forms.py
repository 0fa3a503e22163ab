"""forms: a page of 1 MB of hostile metadata in each form, against the same bytes as plain strings.

Against the stub, through the handler.  `worst` is the kind of metadata that costs the most CPU in this form.
"""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import contenders
from benchmarks.harness import dataset, measure
from benchmarks.harness.measure import Line, Plan

FORMS = ("json", "ndjson", "csv", "html", "epcis")
EVENTS, BYTES_PER_EVENT = 20, 48_000
LOOKUPS, QUICK_LOOKUPS = 9, 2

PLAIN = "plain strings"

#: JSON that is repeated, with `n` for the number of the repetition, until an event is full.
KINDS = {
    PLAIN: '"key {n}":"some words of plain text, as people write them"',
    "nested arrays": '"k{n}":' + "[" * 100 + "]" * 100,
    "nested objects": '"k{n}":' + '{{"a":' * 60 + "1" + "}}" * 60,
    "empty texts": '"k{n}":["","","","","","","",""]',
    "quotation marks": '"k{n}":"' + '\\"' * 40 + '"',
    "emoji": '"k{n}":"' + "😀" * 20 + '"',
    "long numbers": '"k{n}":' + "1" * 80,
    "short members": '"{n}":1',
    "EPCIS contexts": '"{n}":{{"@context":["urn:x:{n}:"]}}',
}


def run(plan: Plan) -> Iterator[Line]:
    """A line per kind of metadata and form, and one for the worst of each form."""
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    with measure.stub() as url:
        for number in range(plan.runs):
            plan.say(f"forms: run {number + 1} of {plan.runs}")
            lookups = QUICK_LOOKUPS if plan.quick else LOOKUPS
            measured = measure.child("benchmarks.forms:timed", url, lookups=lookups)
            for kind, form, cpu_ms in measured:
                runs.setdefault((kind, form), []).append({"cpu_ms": cpu_ms})
    for (kind, form), done in runs.items():
        yield measure.line({"benchmark": "forms", "contender": kind, "form": form}, done)
    for form in FORMS:
        worst = [
            {
                "cpu_over_plain": max(runs[kind, form][number]["cpu_ms"] for kind in KINDS)
                / runs[PLAIN, form][number]["cpu_ms"]
            }
            for number in range(plan.runs)
        ]
        yield measure.line({"benchmark": "forms", "contender": "worst", "form": form}, worst)


def metadata(kind: str) -> str:
    """An object of about BYTES_PER_EVENT bytes."""
    members: list[str] = []
    size = 0
    while size < BYTES_PER_EVENT:
        members.append(KINDS[kind].format(n=len(members)))
        size += len(members[-1].encode()) + 1
    text = "{" + ",".join(members) + "}"
    return f'{{"epcis":{text}}}' if kind.startswith("EPCIS") else text


def wire(kind: str, number: int) -> bytes:
    """An event of the product that has this kind of metadata."""
    serial = f"SN-{list(KINDS).index(kind)}"
    return (
        f'{{"serial":"{serial}","type":"service","occurred_at":"2026-01-01T00:00:{number:02}Z",'
        f'"metadata":{metadata(kind)}}}'
    ).encode()


def timed(lookups: int) -> list[tuple[str, str, float]]:
    """Runs in a process of its own: kinds and forms take turns; median CPU of a lookup in ms."""
    import app

    handle, context = contenders.ours(), contenders.Context()
    for kind in KINDS:
        for event in dataset.lambda_events([wire(kind, number) for number in range(EVENTS)]):
            handle(event)

    def get(kind: str, form: str) -> dict[str, Any]:
        serial = dataset.serial_of(wire(kind, 0))
        answer: dict[str, Any] = app.app(
            dataset.http_event("/products/{serial}/events", serial, format=form), context
        )
        assert answer["statusCode"] == 200, answer
        return answer

    cpu_s: dict[tuple[str, str], list[float]] = {(kind, form): [] for kind in KINDS for form in FORMS}
    for number in range(lookups + 1):
        for (kind, form), seconds in cpu_s.items():
            started = time.process_time()
            get(kind, form)
            if number:  # the first one imports
                seconds.append(time.process_time() - started)
    return [(kind, form, statistics.median(seconds) * 1000) for (kind, form), seconds in cpu_s.items()]
