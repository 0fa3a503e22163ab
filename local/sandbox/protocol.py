"""The protocol between a sandbox pool and its worker processes: frames of bytes, each behind its length.

A request is two frames, a JSON header and the event; its answer too, a JSON header and the payload.  A worker
that is ready sends an answer first.
"""

import socket
import struct
from typing import NamedTuple

_LENGTH = struct.Struct("!I")


class RequestHeader(NamedTuple):
    """What the worker needs to know about an invocation beside its event."""

    request_id: str
    timeout_s: float
    function: str
    arn: str
    memory_mb: int
    log_stream: str


class AnswerHeader(NamedTuple):
    """Whether the handler raised, or could not be loaded; the payload then is the error."""

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
