"""`POST /events`: events checked as ingest checks them, put onto the stream, and told where they will be.

All or nothing: if one event could not be stored, none is sent, and the answer says which and why.  Sending
the whole again is always safe, after a dropped connection or a 503 as after a 202, because an event's key is
its content; so `Idempotency-Key` is accepted and not needed.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec
from chalice.app import Request, Response

from chalicelib.api import auth, capture_body, queries, responses
from chalicelib.deadline import Deadline
from chalicelib.domain import events, lifecycle
from chalicelib.domain.events import Event
from chalicelib.errors import (
    InvalidEventError,
    InvalidRequestError,
    NotAllowedError,
    RecordError,
    StorageError,
    TooLargeError,
    UnsupportedBodyError,
)
from chalicelib.stream.put_records import Record, RecordPutter
from chalicelib.tables import items
from chalicelib.tables.token import Token

#: A record with its partition key (Kinesis Data Streams developer guide, "Quotas").
MAX_RECORD_BYTES = 1024 * 1024

#: When to come again after a 503, in seconds.
RETRY_AFTER_S = 5

#: What a page of another origin can send without asking this one (Fetch standard, CORS-safelisted request
#: headers).
_SENT_BY_ANY_PAGE = frozenset({"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})


class Refused(msgspec.Struct, frozen=True):
    """An event that could not be stored: where it stands in the body, counted from 0, and why."""

    index: int
    message: str


class Accepted(msgspec.Struct, frozen=True):
    """An event on its way: where it will be."""

    serial: str
    position: str


def post_events(request: Request, token: Token, putter: RecordPutter, deadline: Deadline) -> Response:
    """Answer 202 with every event's serial and position, or 400 with what is wrong and nothing sent."""
    queries.parameters(request, ())
    if token is auth.ANYBODY:
        _refuse_other_origins(request.headers)
    body = capture_body.read(_received(request))
    sent, refused = converted(body.epcis) if body.epcis is not None else (body.events, [])
    decoded: list[Event] = []
    for index, data in enumerate(sent):
        try:
            decoded.append(_decode(data))
        except RecordError as exc:
            refused.append(Refused(index, str(exc)))
    if refused:
        return _refusal(refused)
    _check_reach(token, decoded)
    records = [
        Record(Data=data, PartitionKey=event.serial) for data, event in zip(sent, decoded, strict=True)
    ]
    try:
        putter.put(records, deadline)
    except StorageError as exc:
        responses.log_cause(exc)
        return _come_again()
    return responses.json_response(
        {
            "accepted": len(decoded),
            "events": [Accepted(event.serial, event.position) for event in decoded],
            "unknown_types": Counter(event.type for event in decoded if event.type not in lifecycle.KINDS),
        },
        202,
    )


def _received(request: Request) -> bytes:
    try:
        received = request.raw_body
    except ValueError as exc:  # a text that is not UTF-8's, or not Base64 where the event says so
        raise InvalidRequestError("the body reached this function garbled") from exc
    return received.encode() if isinstance(received, str) else received


def _refuse_other_origins(headers: Mapping[str, str]) -> None:
    """Where nobody needs a token, refuse what a page from elsewhere could have sent without asking."""
    declared = str(headers.get("content-type", "")).partition(";")[0].strip().lower()
    if declared in _SENT_BY_ANY_PAGE:
        raise UnsupportedBodyError(
            "without a token the type of the body has to be named, such as Content-Type: application/json"
        )


def _decode(data: bytes) -> Event:
    """Return the event, if ingest would store it.  Raises RecordError."""
    if len(data) > MAX_RECORD_BYTES:
        raise InvalidEventError(
            "too_large", f"the event has {len(data):,} bytes, a record at most {MAX_RECORD_BYTES:,}"
        )
    event = events.decode(data)
    if len(data) + len(event.serial) > MAX_RECORD_BYTES:
        raise InvalidEventError(
            "too_large", f"with its serial the event has more than {MAX_RECORD_BYTES:,} bytes"
        )
    items.to_item(event, 0)
    return event


def converted(document: bytes) -> tuple[list[bytes], list[Refused]]:
    """Return the lifecycle events that an EPCIS document says, and what of it makes none, and why.

    Raises InvalidRequestError for what is no EPCIS document, TooLargeError for one with too many events.
    """
    from chalicelib.epcis import capture, documents

    try:
        read = documents.decode(document)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequestError(f"this is no EPCIS document: {exc}") from exc
    sent: list[bytes] = []
    refused: list[Refused] = []
    for index, event in enumerate(read.events):
        for captured in capture.capture(event, read.contexts, read.sender):
            if captured.wire is None:
                refused.append(Refused(index, captured.reason or ""))
            else:
                try:
                    sent.append(msgspec.json.encode(captured.wire))
                except (UnicodeEncodeError, RecursionError):
                    refused.append(Refused(index, "holds half of a surrogate pair, or is nested too deep"))
            if len(sent) + len(refused) > capture_body.MAX_EVENTS:
                raise TooLargeError(
                    f"the document makes more than {capture_body.MAX_EVENTS} events; send it in parts"
                )
    if not sent and not refused:
        raise InvalidRequestError("the EPCIS document has no events; there is nothing to send")
    return sent, refused


def _check_reach(token: Token, decoded: list[Event]) -> None:
    for index, event in enumerate(decoded):
        try:
            auth.check_reach(token, event.serial)
        except NotAllowedError as exc:
            raise NotAllowedError(f"event {index}: {exc}; nothing was sent") from exc


def _refusal(refused: list[Refused]) -> Response:
    first = min(refused, key=lambda each: each.index)
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    body = {
        "Code": "BadRequestError",
        "Message": f"nothing was sent: event {first.index}{more}: {first.message}",
        "errors": refused,
    }
    return responses.json_response(body, 400)


def _come_again() -> Response:
    answer = responses.json_response(
        {
            "Code": "ServiceUnavailableError",
            "Message": "the stream did not take all events in time; send the whole again in a moment: what "
            "arrives twice is stored once",
        },
        503,
    )
    answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer
