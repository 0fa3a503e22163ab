"""What a whole history says, by brute force: every question is asked of every event, again and again.

Written from the design ("Reading a history", "Voids, markers, tombstones, identity"), not from the code that
answers; only the table of types and the wire format are shared with it.
"""

import json
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from chalicelib.domain import instants
from chalicelib.domain.events import Event
from chalicelib.domain.lifecycle import KINDS


class Oracle:
    """A product's events, the voids among them that are stored, and what follows."""

    def __init__(self, history: Sequence[Event], voids: Sequence[Event], now: str) -> None:
        """`voids` may hold some that `history` does not show yet."""
        self.history = sorted(history, key=_when)
        self._voids = list(voids)
        self._now = now
        self._verdicts: dict[str, bool] = {}
        self._takers: dict[str, tuple[str, str | None] | None] = {}

    def voided_by(self, event: Event) -> tuple[str, str | None] | None:
        """The last of the voids in force that take the event out, and its reason."""
        if event.position not in self._takers:
            self._takers[event.position] = self._taker(event)
        return self._takers[event.position]

    def _taker(self, event: Event) -> tuple[str, str | None] | None:
        takers = [void for void in self._voids if _names(void, event) and self._is_in_force(void)]
        if not takers:
            return None
        void = max(takers, key=lambda each: each.position)
        return void.position, _why(void)

    def status(self) -> tuple[str, str | None]:
        """What the newest event that gives a status and is in the fold says."""
        for event in reversed(self.history):
            if self._counts(event) and (gives := _gives(event)) is not None:
                return gives, event.occurred_at
        return "unknown", None

    def decided_by(self) -> Event | None:
        """The event that the status is of."""
        return next((each for each in reversed(self.history) if self._counts(each) and _gives(each)), None)

    def anomaly(self, event: Event, is_whole: bool) -> str | None:
        """What is odd about an event, as its code; `is_whole` says that the whole history is on its page."""
        if self.voided_by(event) is not None:
            return None
        if self._is_future(event):
            return "future"
        if event.type == "void":
            if not _names_something(event):
                return "void_names_nothing"
            if is_whole and not any(_names(event, other) for other in self.history):
                return "void_names_missing"
            return None
        follows = KINDS[event.type].follows if event.type in KINDS else None
        if follows is not None and self._status_before(event) not in follows:
            return "unexpected_order"
        return None

    def _status_before(self, event: Event) -> str:
        status = "nothing"
        for other in self.history:
            if other is event:
                break
            if self._counts(other):
                status = _gives(other) or status
        return status

    def _counts(self, event: Event) -> bool:
        return not self._is_future(event) and self.voided_by(event) is None

    def _is_in_force(self, void: Event) -> bool:
        if void.position not in self._verdicts:
            self._verdicts[void.position] = not self._is_future(void) and not any(
                _names(other, void) and self._is_in_force(other) for other in self._voids
            )
        return self._verdicts[void.position]

    def _is_future(self, event: Event) -> bool:
        return event.position[:27] > self._now


def _when(event: Event) -> tuple[str, Fraction, int, str]:
    """The exact instant, then the lifecycle's own order, then the digest."""
    utc = instants.parse(event.occurred_at).utc.rstrip("Z")
    seconds, _, digits = utc.partition(".")
    types = list(KINDS)
    return (
        seconds,
        Fraction(int(digits or "0"), 10 ** len(digits)),
        types.index(event.type) if event.type in types else types.index("note"),
        event.position.partition("#")[2],
    )


def _gives(event: Event) -> str | None:
    return KINDS[event.type].gives if event.type in KINDS else None


def _names(void: Event, event: Event) -> bool:
    said = _said(void.metadata)
    if said.get("position") is not None:
        return bool(said["position"] == event.position)
    return said.get("event_id") is not None and event.type != "void" and event.event_id == said["event_id"]


def _names_something(void: Event) -> bool:
    said = _said(void.metadata)
    if said.get("position") is not None:
        return "#" in str(said["position"])
    return isinstance(said.get("event_id"), str) and 0 < len(said["event_id"]) <= 128


@lru_cache(maxsize=1024)
def _said(metadata: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(metadata)
    return said


def _why(void: Event) -> str | None:
    said = _said(void.metadata)
    for reason in (said.get("why"), said.get("reason")):
        if isinstance(reason, str) and reason:
            return reason[:200]
    return None
