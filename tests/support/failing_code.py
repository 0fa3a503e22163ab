"""Code with a bug, as the failure path meets it."""

import pytest

from chalicelib.domain import events


def on_product(patch: pytest.MonkeyPatch, serial: str) -> None:
    """From now on decoding raises on every event of this product, which nobody foresaw."""
    decode = events.decode

    def stumbles(data: bytes) -> events.Event:
        event = decode(data)
        if event.serial == serial:
            raise KeyError(serial)
        return event

    patch.setattr(events, "decode", stumbles)
