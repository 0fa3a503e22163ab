"""The body of `POST /events` taken apart: from bytes of any kind to each event in the bytes it came in.

Judged by its first bytes, whatever the headers say: gzip (API Gateway unpacks by itself what Content-Encoding
names, `chalice local` does not), a JSON array, an EPCIS document, an event a line, or one event.  Size,
nesting and number are bounded before anything is made of a body.
"""

import io
import zlib
from collections.abc import Iterator

import msgspec

from chalicelib.domain.events import MAX_DEPTH
from chalicelib.errors import InvalidRequestError, TooLargeError, UnsupportedBodyError
from chalicelib.text import quoted

#: As received.  In Base64, or with every quote escaped, this is still within Lambda's 6 MB.
MAX_RECEIVED_BYTES = 3_000_000

MAX_UNPACKED_BYTES = 6_000_000

MAX_EVENTS = 500

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"

_QUOTE = ord('"')
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{},"'))

_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


_ABSENT = msgspec.Raw()


class _Shape(msgspec.Struct):
    """Fields that an EPCIS document has and no lifecycle event does."""

    context: msgspec.Raw = msgspec.field(name="@context", default=_ABSENT)
    body: msgspec.Raw = msgspec.field(name="epcisBody", default=_ABSENT)
    event_time: msgspec.Raw = msgspec.field(name="eventTime", default=_ABSENT)


_shape = msgspec.json.Decoder(_Shape).decode


class Body(msgspec.Struct, frozen=True):
    """What a body holds: events, each in its bytes, or one EPCIS document."""

    events: list[bytes]
    epcis: bytes | None = None


def read(received: bytes) -> Body:
    """Take a body apart.

    Raises TooLargeError, UnsupportedBodyError for what cannot be events, InvalidRequestError for what is
    broken.
    """
    if len(received) > MAX_RECEIVED_BYTES:
        raise TooLargeError(
            f"a body has at most {MAX_RECEIVED_BYTES:,} bytes, got {len(received):,}; send it in parts"
        )
    data = _unpacked(received) if received.startswith(_GZIP) else received
    data = data.removeprefix(_BYTE_ORDER_MARK).strip(_WHITE_SPACE)
    if not data:
        raise InvalidRequestError(
            "the body is empty; send an event, a JSON array of events, or an event a line"
        )
    if data[:1] not in (b"{", b"["):
        raise UnsupportedBodyError(
            "expected JSON: an event, an array of events, an event a line, or an EPCIS document; the body "
            f"begins with {quoted(data[:12].decode('latin-1'))}"
        )
    if data[:1] == b"[":
        _refuse_nesting(data)
        return Body(_array(data))
    lines = _lines(data)
    if lines:
        return Body(lines)
    if _is_epcis(data):
        return Body([], epcis=data)
    return Body([data])


def _unpacked(received: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(received, MAX_UNPACKED_BYTES + 1)
    except zlib.error as exc:
        raise InvalidRequestError(f"the body begins as gzip does and cannot be unpacked: {exc}") from exc
    if len(data) > MAX_UNPACKED_BYTES:
        raise TooLargeError(
            f"a body has at most {MAX_UNPACKED_BYTES:,} bytes unpacked, this one has more; send it in parts"
        )
    if not unpacker.eof:
        raise InvalidRequestError("the body's gzip stream ends too soon")
    if unpacker.unused_data:
        raise InvalidRequestError("more follows behind the end of the body's gzip stream")
    return data


def _array(data: bytes) -> list[bytes]:
    try:
        elements = [bytes(element) for element in _elements(data)]
    except msgspec.DecodeError as exc:
        raise InvalidRequestError(f"the body is not JSON: {exc}") from exc
    if not elements:
        raise InvalidRequestError("the array is empty; there is nothing to send")
    return elements


def _lines(data: bytes) -> list[bytes]:
    """The lines of a body with an event a line; none where the body is one JSON object.

    An object that goes on behind a line which ends with `}` goes on with a comma or a bracket.
    """
    lines: list[bytes] = []
    for line in _full_lines(data):
        lines.append(line)
        if len(lines) == 1 and not line.endswith(b"}"):
            return []
        if len(lines) == 2 and not line.startswith(b"{"):
            return []
        if len(lines) > MAX_EVENTS:
            raise _too_many()
    return lines if len(lines) > 1 else []


def _full_lines(data: bytes) -> Iterator[bytes]:
    for line in io.BytesIO(data):
        if stripped := line.strip(_WHITE_SPACE):
            yield stripped


def _is_epcis(data: bytes) -> bool:
    _refuse_nesting(data)
    try:
        shape = _shape(data)
    except msgspec.DecodeError:
        return False  # what is wrong with it, the event's own reader says
    return any(field is not _ABSENT for field in (shape.context, shape.body, shape.event_time))


def _refuse_nesting(data: bytes) -> None:
    """Refuse what is nested too deep, and an array with too many elements, before it takes memory.

    Byte by byte over brackets, commas and quotes: a pattern would keep something for each of its matches.
    """
    depth = elements = 0
    in_string, is_array = False, data.startswith(b"[")
    # Without escapes every quote begins or ends a string.
    for char in data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_STRUCTURE):
        if char == _QUOTE:
            in_string = not in_string
        elif in_string:
            continue
        elif char in b"[{":
            depth += 1
            if depth > MAX_DEPTH + 1:  # an event's own, and the array's around it
                raise InvalidRequestError(f"the body is nested more than {MAX_DEPTH} deep")
        elif char in b"]}":
            depth -= 1
        elif depth == 1 and is_array:
            elements += 1
            if elements >= MAX_EVENTS:
                raise _too_many()


def _too_many() -> TooLargeError:
    return TooLargeError(f"a body has at most {MAX_EVENTS} events, this one has more; send it in parts")
