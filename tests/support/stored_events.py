"""Events as the history table has them."""

from typing import Any

import msgspec

from chalicelib.domain import events
from chalicelib.tables.history import StoredEvent


def stored(wire: dict[str, Any]) -> StoredEvent:
    event = events.decode(msgspec.json.encode(wire))
    return StoredEvent(**msgspec.structs.asdict(event), recorded_at_ms=1790000000123)
