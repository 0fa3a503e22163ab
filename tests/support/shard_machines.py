"""The machine of one shard as its tests drive it: records in, commands out, outcomes back."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from local.event_sources.batching import StreamRecord
from local.event_sources.settings import KinesisSettings
from local.event_sources.shard_state_machine import (
    Checkpoint,
    Command,
    Discard,
    Invoke,
    ShardMachine,
)
from local.sandbox.outcome import Ending, Outcome

OK = Outcome(Ending.OK, b'{"batchItemFailures": []}', "request")
ERROR = Outcome(Ending.ERROR, b"{}", "request")
TIMEOUT = Outcome(Ending.TIMEOUT, b"{}", "request")
CRASH = Outcome(Ending.CRASH, b"{}", "request")
THROTTLED = Outcome(Ending.UNDELIVERED, b"", "request")


def no_backoff(failures: int) -> float:
    """Retry at once."""
    return 0.0


def returned(answer: Any) -> Outcome:
    return Outcome(Ending.OK, json.dumps(answer).encode(), "request")


def reported(*records: StreamRecord) -> Outcome:
    return returned({"batchItemFailures": [{"itemIdentifier": each.sequence_number} for each in records]})


_numbers = itertools.count(49590338271490256608559692538361571095921575989136588898)


def records(count: int, *, key: str = "k", at: float = 0.0, size: int = 100) -> list[StreamRecord]:
    return [StreamRecord(str(next(_numbers)), at, key, b"x" * size) for _ in range(count)]


def machine_of(
    *, backoff: Any = no_backoff, max_event_bytes: int = 6_291_456, **settings: Any
) -> ShardMachine:
    settings = {"partial_responses": True, **settings}
    return ShardMachine(
        KinesisSettings(**settings), now=0.0, backoff=backoff, max_event_bytes=max_event_bytes
    )


def invokes(commands: Sequence[Command]) -> list[Invoke]:
    return [each for each in commands if isinstance(each, Invoke)]


def discards(commands: Sequence[Command]) -> list[Discard]:
    return [each for each in commands if isinstance(each, Discard)]


def checkpoints(commands: Sequence[Command]) -> list[str]:
    return [each.sequence_number for each in commands if isinstance(each, Checkpoint)]


def only_invoke(machine: ShardMachine, now: float = 0.0) -> Invoke:
    (invoke,) = invokes(machine.due(now))
    return invoke


def repeat(machine: ShardMachine, *outcomes: Outcome) -> tuple[list[Invoke], list[Command]]:
    """Answer one invocation after another; the last outcome answers all that follow."""
    made, commands = [], []
    answers = itertools.chain(outcomes, itertools.repeat(outcomes[-1]))
    while pending := invokes(found := machine.due(0.0)):
        commands += found
        (invoke,) = pending
        made.append(invoke)
        commands += machine.finished(invoke.lane, next(answers), 0.0)
        assert len(made) < 1000
    return made, commands
