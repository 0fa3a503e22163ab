"""From what somebody types or scans to the serial numbers under which that product may be stored."""

from collections.abc import Iterator

from chalicelib.domain import events
from chalicelib.epcis import element_string, gs1_keys, identifiers
from chalicelib.errors import InvalidRequestError
from chalicelib.text import quoted

_EPC_BEGINNINGS = ("urn:", "http://", "https://", "(", "]")

_RULE = f"serial: expected {events.SERIAL_RULE}, or an EPC"


def serials(text: str) -> Iterator[str]:
    """Yield the serial numbers of a product, the one that it has now first.

    `text` is a serial number, or an EPC in any spelling; an element string that nothing marks as one may be
    somebody's own serial number, which goes first.  Raises InvalidRequestError with a sentence.
    """
    if text[:8].lower().startswith(_EPC_BEGINNINGS) or element_string.SEPARATOR in text:
        try:
            serial = identifiers.serial_of(text)
        except ValueError as exc:
            raise InvalidRequestError(f"serial: {exc}") from exc
        yield serial
        yield from _earlier(serial, text)
        return
    scanned = identifiers.serial_of_scan(text)
    if events.is_serial(text):
        yield text
    elif scanned is None:
        raise InvalidRequestError(f"{_RULE}; got {quoted(text)}")
    if scanned is not None:
        yield scanned
        yield from _earlier(scanned)
    elif text.startswith(gs1_keys.PREFIX):
        yield from _earlier(text)


def _earlier(serial: str, *spellings: str) -> Iterator[str]:
    """The serial numbers that this one's EPC once had, the one of the spelling at hand first."""
    seen = {serial}
    for each in (*map(identifiers.earlier_serial, spellings), *identifiers.earlier_serials(serial)):
        if each not in seen and events.is_serial(each):
            seen.add(each)
            yield each
