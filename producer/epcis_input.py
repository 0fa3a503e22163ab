"""EPCIS 2.0 documents as input: one lifecycle event for each thing that an EPCIS event names.

What means what is in chalicelib/epcis; here a file is read and every outcome gets the number of its event,
counted from 1; 0 is the header.  The document is read whole: JSON has no lines.
"""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from chalicelib.domain import events
from chalicelib.epcis import capture, documents
from chalicelib.errors import ConfigurationError, InvalidEventError
from producer.recorded import Line

#: A larger document would not fit beside what its events become.
MAX_BYTES = 256 * 1024 * 1024


def read(file: BinaryIO) -> Iterator[Line]:
    """A Line for each thing that an event names, and for each that makes no event, with the reason.

    Raises ConfigurationError for what is no EPCIS document.
    """
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"the EPCIS document is larger than {MAX_BYTES} bytes; split its eventList")
    try:
        document = documents.decode(data)
    except RecursionError as exc:
        raise ConfigurationError("the EPCIS document is nested too deep") from exc
    except ValueError as exc:  # not UTF-8 and not JSON among them
        raise ConfigurationError(f"this is no EPCIS document: {exc}") from exc
    del data
    for sentence in document.skipped:
        yield Line(0, None, sentence)
    for number, event in enumerate(document.events, start=1):
        for captured in capture.capture(event, document.contexts, document.sender):
            yield _line(number, captured)


def _line(number: int, captured: capture.Captured) -> Line:
    if captured.wire is None:
        return Line(number, None, captured.reason)
    try:
        wire = msgspec.json.encode(captured.wire)
        events.decode(wire)
    except InvalidEventError as exc:
        return Line(number, None, str(exc))
    except (UnicodeEncodeError, RecursionError):
        return Line(
            number, None, "holds what JSON cannot carry: half of a surrogate pair, or nesting too deep"
        )
    return Line(number, wire, None)
