"""Poison pills: records that no retry can help, one of each kind that producers really send.

Sent on purpose, to see that ingest sets them aside and goes on.
"""

import random
from collections.abc import Callable

import msgspec

#: DynamoDB refuses an item over this many bytes (developer guide, "Limits: item size").
ITEM_LIMIT_BYTES = 400 * 1024

_encode = msgspec.json.encode


def _not_json(serial: str, rng: random.Random) -> bytes:
    return f"serial={serial};type=service;odometer_km={rng.randrange(100_000)}".encode()


def _wrong_schema(serial: str, rng: random.Random) -> bytes:
    return _encode({"serial": serial, "type": "service", "occurred_at": rng.randrange(1_500_000_000)})


def _unknown_field(serial: str, rng: random.Random) -> bytes:
    return _encode({**_service(serial, rng), "odometer_km": rng.randrange(100_000)})


def _oversized_item(serial: str, rng: random.Random) -> bytes:
    """A valid event whose item DynamoDB refuses; Kinesis carries it."""
    photo = rng.randbytes(ITEM_LIMIT_BYTES // 2 + 4_096).hex()
    return _encode({**_service(serial, rng), "metadata": {"photo": photo}})


def _truncated_utf8(serial: str, rng: random.Random) -> bytes:
    """An event cut in the middle of a character, as by a buffer of fixed size."""
    whole = _encode({**_service(serial, rng), "metadata": {"note": "geprüft, gereinigt, geölt ✓"}})
    return whole[: whole.index("✓".encode()) + 2]


def _service(serial: str, rng: random.Random) -> dict[str, object]:
    moment = f"2020-02-{rng.randrange(1, 29):02d}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:00Z"
    return {"serial": serial, "type": "service", "occurred_at": moment, "source": "poison"}


_KINDS: dict[str, Callable[[str, random.Random], bytes]] = {
    "not_json": _not_json,
    "wrong_schema": _wrong_schema,
    "unknown_field": _unknown_field,
    "oversized_item": _oversized_item,
    "truncated_utf8": _truncated_utf8,
}

#: The kinds, in the order in which they take turns.
KINDS = tuple(_KINDS)


def pill(number: int, serial: str, rng: random.Random) -> bytes:
    """A record's data that ingest must quarantine: the kinds take turns with `number`.

    `serial` is a product's, so that the pill sits among that product's events.
    """
    return _KINDS[KINDS[number % len(KINDS)]](serial, rng)
