"""The process that a handler runs in: loads it once, then answers one invocation after another.

    python -m local.sandbox.worker module.attribute FILE_DESCRIPTOR

The pool starts it so, with the number of an open socket.  What the handler prints goes to the log, never to
that socket.  The process exits when the pool closes its side, even in the middle of an invocation,
so that it never outlives the process that started it.
"""

import importlib
import json
import logging
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from local.sandbox import protocol

#: Lambda's own limit for an answer (6 MB and a little).
MAX_PAYLOAD_BYTES = 6_291_556

Handler = Callable[[Any, "Context"], Any]


class Context:
    """What Lambda's Python runtime gives a handler beside the event."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(self, header: protocol.RequestHeader, started_at: float) -> None:
        self.function_name = header.function
        self.invoked_function_arn = header.arn
        self.memory_limit_in_mb = str(header.memory_mb)  # text, as in Lambda's runtime
        self.aws_request_id = header.request_id
        self.log_group_name = f"/aws/lambda/{header.function}"
        self.log_stream_name = header.log_stream
        self._ends_at = started_at + header.timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the time-out kills this invocation."""
        return max(0, int((self._ends_at - time.monotonic()) * 1000))


def run(handler_name: str, connection: socket.socket) -> None:
    """Serve invocations until the connection closes, which ends the process."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # stdout is a log file here
    # Lambda's runtime puts a handler on the root logger, so warnings of any library reach the log.
    logging.basicConfig(stream=sys.stdout, format="[%(levelname)s]\t%(asctime)s\t%(name)s\t%(message)s")
    requests: queue.SimpleQueue[tuple[bytes, bytes, float]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, requests), daemon=True).start()
    try:
        handler = _load(handler_name)
    except _InitError as exc:
        _answer(connection, exc.error)
        return
    except Exception as exc:  # whatever the module raises while it is imported is the function's error
        _answer(connection, _described(exc))
        return
    _answer(connection, None)
    while True:
        frame, event, started_at = requests.get()
        header = msgspec.json.decode(frame, type=protocol.RequestHeader)
        _answer(connection, *_invoke(handler, event, Context(header, started_at)))


def _listen(connection: socket.socket, requests: "queue.SimpleQueue[tuple[bytes, bytes, float]]") -> None:
    """Take requests off the connection while the handler works; exit at once when it closes."""
    try:
        while True:
            header = protocol.receive(connection)
            requests.put((header, protocol.receive(connection), time.monotonic()))
    except protocol.Closed:
        os._exit(0)


class _InitError(Exception):
    def __init__(self, kind: str, message: str) -> None:
        self.error = {"errorType": kind, "errorMessage": message}


def _load(handler_name: str) -> Handler:
    module_name, _, attribute = handler_name.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as exc:
        traceback.print_exc()
        message = f"Unable to import module '{module_name}': {exc}"
        raise _InitError("Runtime.ImportModuleError", message) from exc
    try:
        handler: Handler = getattr(module, attribute)
    except AttributeError as exc:
        message = f"Handler '{attribute}' missing on module '{module_name}'"
        raise _InitError("Runtime.HandlerNotFound", message) from exc
    return handler


def _invoke(handler: Handler, event: bytes, context: Context) -> tuple[dict[str, Any] | None, bytes]:
    """Return the error, or None and the JSON of what the handler returned."""
    try:
        result = handler(json.loads(event), context)
    except Exception as exc:  # a function error: Lambda reports whatever a handler raises
        return {**_described(exc), "requestId": context.aws_request_id}, b""
    try:
        payload = json.dumps(result, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        return {
            "errorType": "Runtime.MarshalError",
            "errorMessage": f"Unable to marshal response: {exc}",
            "requestId": context.aws_request_id,
        }, b""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size "
            f"({MAX_PAYLOAD_BYTES} bytes).",
        }, b""
    return None, payload


def _described(exc: Exception) -> dict[str, Any]:
    """A function error as Lambda's Python runtime describes it, and as it logs it."""
    traceback.print_exception(exc)
    frames_of_handler = traceback.extract_tb(exc.__traceback__)[1:]  # the first one is ours
    return {
        "errorMessage": str(exc),
        "errorType": type(exc).__name__,
        "stackTrace": traceback.format_list(frames_of_handler),
    }


def _answer(connection: socket.socket, error: dict[str, Any] | None, payload: bytes = b"") -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    header = msgspec.json.encode(protocol.AnswerHeader(error is not None))
    protocol.send(connection, header, payload if error is None else msgspec.json.encode(error))


if __name__ == "__main__":
    run(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
