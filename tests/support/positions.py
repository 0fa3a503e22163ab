"""Where events stand in their products' histories, for tests that compare what was sent with what is held."""

from collections.abc import Iterable

from chalicelib.domain import events


def by_product(sent: Iterable[bytes]) -> dict[str, set[str]]:
    """The position of each event, product by product."""
    found: dict[str, set[str]] = {}
    for data in sent:
        event = events.decode(data)
        found.setdefault(event.serial, set()).add(event.position)
    return found
