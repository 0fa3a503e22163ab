"""What a run with failures leaves to count, beside what any run does.

The only place that knows triage's log lines as the demo reads them.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from local.event_sources.observer import Invocation
from local.observers.counters import Stopwatch


class Watch(Stopwatch):
    """The stopwatch of a run, with what only failures need."""

    def __init__(self) -> None:
        super().__init__()
        self.retries = 0  # invocations with a batch, or what halving left of it, that had failed before
        self.dead_letter_messages = 0
        self.bisected_from = 0  # the largest batch that was halved

    def invoked(self, invocation: Invocation) -> None:
        """Count it."""
        super().invoked(invocation)
        with self._lock:
            self.retries += invocation.attempt > 1

    def bisected(self, source: str, batch_size: int) -> None:
        """Count it."""
        super().bisected(source, batch_size)
        with self._lock:
            self.bisected_from = max(self.bisected_from, batch_size)

    def discarded(self, source: str, identifiers: Sequence[str], condition: str) -> None:
        """Count them: one message, however many records."""
        super().discarded(source, identifiers, condition)
        with self._lock:
            self.dead_letter_messages += 1


def triaged(log: Path) -> Counter[str]:
    """Records by verdict: `stored`, `expired`, or the reason why they are in quarantine.

    From the function's own log lines, one a message, as an operator would count them.
    """
    verdicts: Counter[str] = Counter()
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:  # triage never ran
        return verdicts
    for line in lines:
        try:
            facts = json.loads(line)
        except ValueError:  # a traceback, or what a library printed
            continue
        if isinstance(facts, dict) and str(facts.get("message", "")).startswith("dead letter triaged"):
            verdicts["stored"] += facts["stored"]
            verdicts["expired"] += facts.get("expired", 0)
            verdicts.update(facts["quarantined"])
    return verdicts
