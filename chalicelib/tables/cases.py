"""A case: one record set aside, why, and what people have done about it; and the items that hold it.

The only place that knows a case's attributes.  A payload larger than one item lies in several parts: part 0
is the head with everything else.  A corrected text lies in parts of its own, numbered from the moment of the
correction, so that the original is never touched and two people cannot mix their corrections.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args
from zlib import crc32

import msgspec

Status = Literal["open", "redriven", "discarded"]
STATUSES: tuple[Status, ...] = get_args(Status)

#: Payload bytes in one item: below 400 KB with room for a head's other attributes.
PART_BYTES = 256 * 1024

BUCKETS = 8

#: Reasons of cases that hold no record: nothing of theirs could be put on the stream.
WITHOUT_RECORD = ("expired", "not_an_invocation_record", "foreign_stream")

#: A sentence longer than this (a traceback, say) keeps its beginning and its end.
SENTENCE_CHARS = 16_000

#: What a head holds beside its part of the payload.
HEAD_ATTRIBUTES = ("id", "reason", "sentence", "partition_key", "arrived_at", "status", "trail")

Item = dict[str, Any]


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """One line of the audit trail: who did what, when, and why."""

    at_ms: int
    who: str
    what: str


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A case without its payload: what a list shows."""

    id: str
    reason: str
    sentence: str
    partition_key: str
    arrived_at_ms: int
    status: Status = "open"
    trail: tuple[AuditEntry, ...] = ()


class Case(Head, frozen=True, kw_only=True, gc=False):
    """One record set aside: what it was, why it is here, and what has been done about it."""

    payload: bytes
    corrected: bytes | None = None  # what was put on the stream in its place


def chunks(payload: bytes) -> list[bytes]:
    """A payload cut so that each piece fits an item; at least one piece."""
    return [payload[cut : cut + PART_BYTES] for cut in range(0, max(len(payload), 1), PART_BYTES)]


def part(id_: str, number: int, chunk: bytes) -> Item:
    """An item that holds a piece of a payload and nothing else."""
    return {"id": {"S": id_}, "part": {"N": str(number)}, "payload": {"B": chunk}}


def correction_base(at_ms: int) -> int:
    """The first part number of a correction made at this moment."""
    return at_ms * 1000


def to_head_item(case: Case, pieces: Sequence[bytes]) -> Item:
    """Part 0: the first piece of the payload, and what the case says."""
    return {
        "id": {"S": case.id},
        "part": {"N": "0"},
        "parts": {"N": str(len(pieces))},
        "payload": {"B": pieces[0]},
        "reason": {"S": case.reason},
        "sentence": {"S": _shortened(case.sentence)},
        "partition_key": {"S": case.partition_key},
        "arrived_at": {"N": str(case.arrived_at_ms)},
        "status": {"S": case.status},
        "status_bucket": {"S": f"{case.status}#{bucket(case.id)}"},
        "trail": {"L": [audit_value(entry) for entry in case.trail]},
    }


def from_head_item(item: Mapping[str, Any]) -> Head:
    """What the head says, its payload left out."""
    return Head(**_said(item))


def from_items(items: Sequence[Mapping[str, Any]]) -> Case:
    """A case from its items, the head first and the others by part number."""
    head = items[0]
    pieces = {int(item["part"]["N"]): item["payload"]["B"] for item in items}
    corrected = None
    if "corrected_from" in head:
        start, count = int(head["corrected_from"]["N"]), int(head["corrected_parts"]["N"])
        corrected = b"".join(pieces[number] for number in range(start, start + count))
    payload = b"".join(pieces[number] for number in range(int(head["parts"]["N"])))
    return Case(**_said(head), payload=payload, corrected=corrected)


def audit_value(entry: AuditEntry) -> Item:
    """A line of the audit trail as an attribute value."""
    return {"M": {"at": {"N": str(entry.at_ms)}, "who": {"S": entry.who}, "what": {"S": entry.what}}}


def bucket(id_: str) -> int:
    """The partition of the index that lists this case."""
    return crc32(id_.encode()) % BUCKETS


def _said(head: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": head["id"]["S"],
        "reason": head["reason"]["S"],
        "sentence": head["sentence"]["S"],
        "partition_key": head["partition_key"]["S"],
        "arrived_at_ms": int(head["arrived_at"]["N"]),
        "status": head["status"]["S"],
        "trail": tuple(
            AuditEntry(int(entry["M"]["at"]["N"]), entry["M"]["who"]["S"], entry["M"]["what"]["S"])
            for entry in head["trail"]["L"]
        ),
    }


def _shortened(sentence: str) -> str:
    if len(sentence) <= SENTENCE_CHARS:
        return sentence
    half = SENTENCE_CHARS // 2
    return f"{sentence[:half]} […] {sentence[-half:]}"
