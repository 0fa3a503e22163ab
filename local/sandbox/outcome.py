"""The outcome of an invocation: how it ended and what Lambda answers.

Shared by what invokes (the event source mappings, injected faults) and what runs functions (the pool).
"""

from enum import Enum
from typing import NamedTuple

import msgspec


class Ending(str, Enum):
    """How an invocation ended."""

    OK = "ok"  # the handler returned
    ERROR = "error"  # the handler raised, could not be imported, or returned what JSON cannot carry
    TIMEOUT = "timeout"  # killed when its time was up
    CRASH = "crash"  # its process exited or was killed
    UNDELIVERED = "undelivered"  # throttled, or a service error: the function never saw the batch


class Outcome(NamedTuple):
    """What Lambda answers to one invocation.

    `payload` is JSON: what the handler returned or, for a function error, `errorType`, `errorMessage` and,
    if the handler raised, `stackTrace`.
    """

    ending: Ending
    payload: bytes
    request_id: str

    @classmethod
    def failed(cls, ending: Ending, kind: str, message: str, request_id: str) -> "Outcome":
        """An invocation that failed outside the handler's code, described as Lambda describes it."""
        error = {"errorType": kind, "errorMessage": message}
        return cls(ending, msgspec.json.encode(error), request_id)

    @property
    def function_error(self) -> str | None:
        """`Unhandled` for a function error, as Lambda reports it; None when the handler returned."""
        return "Unhandled" if self.ending in (Ending.ERROR, Ending.TIMEOUT, Ending.CRASH) else None
