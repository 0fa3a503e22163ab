"""How a sandbox and its worker process talk: frames of bytes, each behind its length.

The only place that knows the framing.  An invocation is two frames, a JSON header and the event; its answer
too, a JSON header and the payload; a worker that is ready sends an answer of its own first.
"""

import socket
import struct
from typing import NamedTuple

_LENGTH = struct.Struct("!I")


class Invocation(NamedTuple):
    """The header of an invocation."""

    request_id: str
    timeout_s: float
    function: str
    arn: str
    memory_mb: int
    log_stream: str


class Answer(NamedTuple):
    """The header of an answer: whether the handler returned (or the worker is ready)."""

    is_error: bool


class Closed(Exception):
    """The other side is gone."""


def send(connection: socket.socket, *frames: bytes) -> None:
    """Write frames.  Raises Closed, or TimeoutError when the connection has a time-out."""
    try:
        for frame in frames:
            connection.sendall(_LENGTH.pack(len(frame)))
            connection.sendall(frame)
    except (BrokenPipeError, ConnectionResetError) as exc:
        raise Closed from exc


def receive(connection: socket.socket) -> bytes:
    """Read one frame.  Raises Closed, or TimeoutError when the connection has a time-out."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return bytes(_exactly(connection, length))


def _exactly(connection: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        try:
            received = connection.recv_into(view)
        except ConnectionResetError as exc:
            raise Closed from exc
        if not received:
            raise Closed
        view = view[received:]
    return data
