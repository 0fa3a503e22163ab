"""The application's functions with faults put around them, as a sandbox loads them.

    local.faults.functions.process_lifecycle        is app.process_lifecycle with faults

botocore's hooks stand between the code and DynamoDB, a wrapper around the handler.  The code itself is what
is deployed, and knows nothing of this.  `local/faults/switchboard.py` says which faults are in force.
"""

import importlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import EndpointConnectionError
from botocore.hooks import BaseEventHooks

from chalicelib import wiring
from local.faults import switchboard
from local.faults.switchboard import State

Handler = Callable[[Any, Any], Any]

#: The function whose workers are killed and made to hang.  Triage is spared: a message that it was killed on
#: stays invisible for the queue's visibility time-out of many minutes.
STRUCK = "process_lifecycle"

#: Events in one of its requests, to estimate how many requests an invocation makes.
_EVENTS_PER_REQUEST = 25


def __getattr__(name: str) -> Handler:
    """Return the application's function of that name with faults around it."""
    directory = os.environ.get(switchboard.DIRECTORY_VARIABLE)
    if name.startswith("__") or not directory:
        raise AttributeError(name)
    injector = Injector(name, Path(directory))
    injector.attach(wiring.session().get_component("event_emitter"))  # before any client is made of it
    handler: Handler = getattr(importlib.import_module("app"), name)
    injector.put_bug()
    return injector.around(handler)


class Bug(Exception):
    """Raised on a product of the fault `handler-bug`."""


class Injector:
    """Injects the faults in force into this process."""

    def __init__(
        self,
        function: str,
        directory: Path,
        *,
        clock: Callable[[], float] = time.time,
        die: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL),
        hang: Callable[[], None] = lambda: time.sleep(86_400),
    ) -> None:
        self._is_struck = function == STRUCK
        self._directory = directory
        self._clock = clock
        self._strikes = {"crash": die, "timeout": hang}
        self._board = directory / "board.json"
        self._seen: tuple[int, int] | None = None
        self._rng = random.Random(f"{function} {self._state().seed} {switchboard.ordinal(directory)}")
        self._lock = threading.Lock()
        self._strike: str | None = None
        self._hangs: int | None = None  # the thread that was made to
        self._requests_left = 0
        self._left = threading.local()  # a request's hooks all run on the thread that makes it

    def attach(self, events: BaseEventHooks) -> None:
        """Stand between clients made from now on and DynamoDB."""
        events.register("before-sign.dynamodb.BatchWriteItem", self._leave_unprocessed)
        events.register("before-send.dynamodb", self._before_send)
        events.register("before-parse.dynamodb.BatchWriteItem", self._add_unprocessed)

    def put_bug(self) -> None:
        """Make the step from an event to its item raise on the products of the fault `handler-bug`."""
        from chalicelib.tables import items

        to_item = items.to_item

        def buggy(event: Any, recorded_at_ms: int) -> Any:
            if event.serial in self._state().faults.handler_bug:
                switchboard.note(self._directory, "handler-bug")
                raise Bug(f"the code has a bug with product {event.serial}")
            return to_item(event, recorded_at_ms)

        items.to_item = buggy

    def around(self, handler: Handler) -> Handler:
        """Return the handler, which may be killed or hang in the middle."""

        def invoked(event: Any, context: Any) -> Any:
            self._draw(len(event["Records"]))
            try:
                return handler(event, context)
            finally:
                self._requests_left = 0
                self._strike_when_due()  # it made fewer requests than that: stored, and not yet said so
                # One request that hangs does not keep a handler from ending in time: the handler has to.
                if self._hangs not in (None, threading.get_ident()):
                    self._strikes["timeout"]()

        return invoked

    def _draw(self, records: int) -> None:
        """Draw whether this invocation is struck, and before which of its requests."""
        shares = self._state().faults
        self._strike = None
        if self._is_struck:
            chance = self._rng.random()
            if chance < shares.crash:
                self._strike = "crash"
            elif chance < shares.crash + shares.timeout:
                self._strike = "timeout"
        self._requests_left = self._rng.randint(0, -(-records // _EVENTS_PER_REQUEST))

    def _strike_when_due(self) -> None:
        with self._lock:  # requests go out on many threads
            if self._strike is None:
                return
            if self._requests_left > 0:
                self._requests_left -= 1
                return
            strike, self._strike = self._strike, None
        switchboard.note(self._directory, strike)
        if strike == "timeout":
            self._hangs = threading.get_ident()
        self._strikes[strike]()

    def _before_send(self, request: Any, **_: Any) -> Any:
        """Return an answer in DynamoDB's place, or None: the request goes out."""
        self._strike_when_due()
        state = self._state()
        if state.outage_from <= self._clock() < state.outage_until:
            switchboard.note(self._directory, "outage")
            if self._rng.random() < 0.5:
                raise EndpointConnectionError(endpoint_url=request.url)
            return _error(request.url, 500, "InternalServerError", "The request could not be processed")
        is_cut = bool(getattr(self._left, "puts", None))
        if not is_cut and self._rng.random() < state.faults.throttle:
            switchboard.note(self._directory, "throttled")
            message = "The level of configured provisioned throughput for the table was exceeded"
            return _error(request.url, 400, "ProvisionedThroughputExceededException", message)
        return None

    def _leave_unprocessed(self, request: Any, **_: Any) -> None:
        """Take some items out of a request, half as often as a whole request is refused."""
        share = self._state().faults.throttle
        self._left.puts = {}
        if not share or self._rng.random() >= share / 2:
            return
        body = msgspec.json.decode(request.data)
        taken: dict[str, list[Any]] = {}
        for table, puts in body["RequestItems"].items():
            keep = self._rng.randint(1, len(puts))
            taken[table] = puts[keep:]
            del puts[keep:]
        if any(taken.values()):
            switchboard.note(self._directory, "unprocessed")
            self._left.puts = {table: puts for table, puts in taken.items() if puts}
            request.data = msgspec.json.encode(body)

    def _add_unprocessed(self, response_dict: dict[str, Any], **_: Any) -> None:
        """Name the items taken out in the answer, as DynamoDB does, before botocore parses it."""
        left: dict[str, list[Any]] = self._left.puts
        if left and response_dict["status_code"] == 200:
            answer = msgspec.json.decode(response_dict["body"])
            unprocessed = answer.setdefault("UnprocessedItems", {})
            for table, puts in left.items():
                unprocessed.setdefault(table, []).extend(puts)
            response_dict["body"] = msgspec.json.encode(answer)

    def _state(self) -> State:
        """Return the faults in force; the file is read again only when it was replaced."""
        found = os.stat(self._board)
        seen = (found.st_ino, found.st_mtime_ns)
        if seen != self._seen:
            self._current = switchboard.read(self._directory)
            self._seen = seen
        return self._current


def _error(url: str, status: int, code: str, message: str) -> AWSResponse:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    headers: Any = HeadersDict({"x-amzn-requestid": "fault", "content-type": "application/x-amz-json-1.0"})
    return AWSResponse(url, status, headers, SimpleNamespace(stream=lambda **_: [msgspec.json.encode(body)]))
