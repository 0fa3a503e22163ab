"""Injected faults: their kinds, how they are written, and the switchboard that turns them on and off.

Deployed code has no hook for any of this.  Faults between a mapping and its function happen here; faults
inside a function's process are put around it by `local/faults/functions.py`, which reads the switchboard's
directory, so that a fault can begin and end while workers run.
"""

import os
import random
import re
import threading
import time
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.errors import ConfigurationError
from cli.arguments import duration, number
from local.sandbox.outcome import Ending, Outcome

#: The variable that names the switchboard's directory to a worker.
DIRECTORY_VARIABLE = "LOCAL_FAULTS"

#: The function's time-out, in seconds, while handlers are made to hang: with its own of a minute a run would
#: take too long to watch.  Ingest derives its own deadlines from it.
TIMEOUT_S = 5

#: Seconds from the first invocation to the start of an outage, so that it begins in the middle of work.
OUTAGE_AFTER_S = 0.3

#: Above this share next to nothing succeeds, and a run would not end.
MAX_SHARE = 0.9

_share, _outage_s = number(MAX_SHARE, least=0, what="a share"), duration("1ms", "60m")
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SHARES = ("throttle", "timeout", "crash", "duplicate")
NAMES = (*_SHARES, "outage", "handler-bug")


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """The faults to inject.  Shares are from 0 to MAX_SHARE."""

    throttle: float = 0.0  # of DynamoDB requests: refused whole, or with items left unprocessed
    timeout: float = 0.0  # of invocations: the handler hangs until it is killed
    crash: float = 0.0  # of invocations: the worker is killed in the middle
    duplicate: float = 0.0  # of batches that succeeded: the answer is lost, they are delivered again
    outage_s: float = 0.0  # seconds in which DynamoDB does not answer the functions, once
    handler_bug: tuple[str, ...] = ()  # products that the code raises on


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The faults in force.  Times are epoch seconds."""

    faults: Faults
    seed: int
    outage_from: float = 0.0
    outage_until: float = 0.0


def fault(text: str) -> tuple[str, Any]:
    """Parse one fault of the command line, `name=value`.  Raises ArgumentTypeError with a sentence."""
    name, equals, value = text.partition("=")
    if name not in NAMES or not equals:
        raise ArgumentTypeError(f"expected NAME=VALUE with one of {', '.join(NAMES)}, got {text!r}")
    if name == "handler-bug":
        if _SERIAL.fullmatch(value) is None:
            raise ArgumentTypeError(f"handler-bug: expected a product's serial, got {value!r}")
        return "handler_bug", value
    try:
        return ("outage_s", _outage_s(value)) if name == "outage" else (name, _share(value))
    except ArgumentTypeError as exc:
        raise ArgumentTypeError(f"{name}: {exc}") from exc


def combined(given: Iterable[tuple[str, Any]]) -> Faults:
    """Combine the faults of a command line.  Raises ConfigurationError for one that is given twice."""
    values: dict[str, Any] = {}
    serials: list[str] = []
    for name, value in given:
        if name == "handler_bug":
            serials.append(value)
        elif name in values:
            raise ConfigurationError(f"--fault {name.removesuffix('_s')} is given twice; say it once")
        else:
            values[name] = value
    return Faults(**values, handler_bug=tuple(serials))


def described(faults: Faults) -> list[str]:
    """Return a phrase for each fault."""
    phrases = (
        (faults.throttle, f"{faults.throttle:.1%} of DynamoDB requests throttled"),
        (faults.outage_s, f"DynamoDB down for {faults.outage_s:g} s once the stream moves"),
        (faults.timeout, f"{faults.timeout:.1%} of invocations hang; their time-out is {TIMEOUT_S} s here"),
        (faults.crash, f"{faults.crash:.1%} of invocations killed in the middle"),
        (faults.duplicate, f"{faults.duplicate:.1%} of finished batches delivered again"),
        (faults.handler_bug, f"the code raises on {', '.join(faults.handler_bug)}"),
    )
    return [phrase for is_wanted, phrase in phrases if is_wanted]

def board(
    given: Sequence[tuple[str, Any]], directory: Path, seed: int | None, say: Callable[[str], None]
) -> "Switchboard | None":
    """Return a switchboard with the faults of a command line, after `say` was told of each; None without any.

    Raises ConfigurationError for one that is given twice.
    """
    faults = combined(given)
    for phrase in described(faults):
        say(f"fault: {phrase}")
    return Switchboard(directory, faults, seed=seed) if given else None



class Switchboard:
    """Turns faults on and off, and counts how often each struck.  Safe for several threads."""

    def __init__(
        self,
        directory: Path,
        faults: Faults | None = None,
        *,
        seed: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`seed` fixes the draws: which of the invocations, counted in their order, are struck."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        seed = random.SystemRandom().randrange(2**32) if seed is None else seed
        self._rng = random.Random(f"redelivery {seed}")
        self._state = State(faults=faults or Faults(), seed=seed)
        self._has_had_outage = False
        self._write()

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self._state.faults

    def switch(self, faults: Faults) -> None:
        """Replace the faults in force.  An outage begins with the next invocation."""
        with self._lock:
            self._has_had_outage = False
            self._state = msgspec.structs.replace(self._state, faults=faults)
            self._write()

    def deliver(self, invoke: Callable[[bytes], Outcome]) -> Callable[[bytes], Outcome]:
        """Return `invoke` with the faults that happen between a mapping and its function."""

        def delivered(event: bytes) -> Outcome:
            self._begin_outage()
            outcome = invoke(event)
            with self._lock:
                is_lost = self._rng.random() < self._state.faults.duplicate
            if outcome.ending is Ending.OK and is_lost:
                note(self.directory, "redelivered")
                message = "the answer was lost"
                return Outcome.failed(Ending.UNDELIVERED, "ServiceException", message, outcome.request_id)
            return outcome

        return delivered

    def counts(self) -> dict[str, int]:
        """Return how often each fault has struck."""
        try:
            return dict(Counter((self.directory / "tally").read_text().split()))
        except FileNotFoundError:
            return {}

    def _begin_outage(self) -> None:
        with self._lock:
            seconds = self._state.faults.outage_s
            if self._has_had_outage or not seconds:
                return
            self._has_had_outage = True
            begins = self._clock() + OUTAGE_AFTER_S
            self._state = msgspec.structs.replace(
                self._state, outage_from=begins, outage_until=begins + seconds
            )
            self._write()

    def _write(self) -> None:
        """Replace the file whole, so that no worker reads half of it."""
        written = self.directory / "board.new"
        written.write_bytes(msgspec.json.encode(self._state))
        written.replace(self.directory / "board.json")


def read(directory: Path) -> State:
    """Return the faults in force."""
    return msgspec.json.decode((directory / "board.json").read_bytes(), type=State)


def note(directory: Path, what: str) -> None:
    """Count a fault that struck: one line, appended in one write, since several processes do."""
    _append(directory / "tally", f"{what}\n".encode())


def ordinal(directory: Path) -> int:
    """Return this worker's number, counted from 1 in the order in which workers start."""
    return _append(directory / "workers", b".")


def _append(path: Path, data: bytes) -> int:
    """Append in one write and return where that ended, which is unique among writers."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, data)
        return os.lseek(file, 0, os.SEEK_CUR)
    finally:
        os.close(file)
