"""Recorded input: lines of NDJSON or CSV in anybody's field names, made into wire events.

The only place that reads foreign data.  A line that cannot become an event is named with its number and
the reason, and the rest goes on.  What a mapping does not name keeps its name where the wire format has
it, and goes to metadata otherwise.  JSON numbers stay exactly as written.
"""

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

from chalicelib import strict_json
from chalicelib.domain import events
from chalicelib.errors import ConfigurationError, InvalidEventError

FORMATS = ("ndjson", "csv")

#: A mapping's targets: these, or `metadata.<name>`.
FIELDS = ("serial", "type", "occurred_at", "event_id", "source", "metadata")
_REQUIRED = ("serial", "type", "occurred_at")
_IN_METADATA = "metadata."
_TEXTS = frozenset({"serial", "event_id", "source"})

#: A longer line is no event: a record has at most 1 MiB, and this leaves room for white space and escapes.
MAX_LINE_BYTES = 8 * 1024 * 1024

#: A row of CSV over more lines than this is none: somewhere in it a quote is missing.
MAX_ROW_LINES = 10_000

_BOM = b"\xef\xbb\xbf"
_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN_WORDS = re.compile(r"[\s./_-]+")


class Line(NamedTuple):
    """What a line of the input became: a wire event, or the reason why not."""

    number: int  # from 1; for a CSV row over several lines its last, its first where quotes went wrong
    data: bytes | None
    reason: str | None


class _LineError(ValueError):
    """This line cannot become an event."""


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, each cut just beyond MAX_LINE_BYTES, so that none fills the memory."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


def parse_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """`["serial=sn"]` as `{"serial": "sn"}`: our field, and the input's name for it.

    Raises ConfigurationError for anything that is not such a pair.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        field, equals, name = pair.partition("=")
        if not (field and equals and name):
            raise ConfigurationError(f"--map: expected FIELD=NAME, such as serial=sn, got {pair!r}")
        if field not in FIELDS and not (field.startswith(_IN_METADATA) and field != _IN_METADATA):
            raise ConfigurationError(
                f"--map: an event has no field {field!r}; it has {', '.join(FIELDS)}, and metadata.<name>"
            )
        if field in mapping or name in mapping.values():
            raise ConfigurationError(f"--map: {pair!r} repeats a field or a name of another --map")
        mapping[field] = name
    return mapping


def read(lines: Iterable[bytes], format: str, mapping: Mapping[str, str]) -> Iterator[Line]:
    """A Line for each line of NDJSON or row of CSV, read only as it is asked for; blank ones are left out.

    `mapping` as `parse_mapping` gives it.  Raises ConfigurationError for a CSV header that is none, or under
    which no row can be an event.
    """
    rows = _csv_rows(lines, mapping) if format == "csv" else _ndjson_rows(lines)
    field_of = {name: field for field, name in mapping.items()}
    for number, row in rows:
        try:
            if isinstance(row, _LineError):
                raise row
            data = _wire(row, field_of)
            events.decode(data)
        except (_LineError, InvalidEventError) as exc:
            yield Line(number, None, str(exc))
        else:
            yield Line(number, data, None)


def type_name(spelled: str) -> str:
    """A type as the wire format spells it: `DealerRegistration` and `dealer registration` are the same."""
    return _BETWEEN_WORDS.sub("_", _WORD_ENDS.sub("_", spelled.strip())).lower()


def _wire(row: Mapping[str, Any], field_of: Mapping[str, str]) -> bytes:
    event: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    mapped = {field_of[name] for name in row if name in field_of}
    for name, value in row.items():
        field = field_of.get(name)
        if field is None:
            # A field that a mapped one has replaced is only another fact about the event.
            field = name if name in FIELDS and name not in mapped else _IN_METADATA + name
        if field == "metadata" and type(value) is dict:
            _merge(metadata, value)
        elif field in FIELDS:
            event[field] = _converted(field, value)
        else:
            _merge(metadata, {field.removeprefix(_IN_METADATA): value})
    if metadata:
        if event.get("metadata") is not None:
            raise _LineError("`metadata`: expected a JSON object")
        event["metadata"] = metadata
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError as exc:
        raise _LineError("a string holds half of a surrogate pair, which UTF-8 cannot carry") from exc
    except RecursionError as exc:
        raise _LineError("nested too deep") from exc


def _merge(metadata: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if name in metadata:
            raise _LineError(f"metadata would have {name!a} twice")
        metadata[name] = value


def _converted(field: str, value: Any) -> Any:
    if field == "type" and type(value) is str:
        return type_name(value)
    if field in _TEXTS and type(value) is msgspec.Raw:
        return bytes(value).decode()  # many a serial number is written as a number
    return value


def _ndjson_rows(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any] | _LineError]]:
    for number, line in enumerate(lines, start=1):
        if number == 1:
            line = line.removeprefix(_BOM)
        if not line.strip():
            continue
        try:
            yield number, _object(line)
        except _LineError as exc:
            yield number, exc


def _object(line: bytes) -> dict[str, Any]:
    try:
        row = strict_json.decode(_text(line))
    except json.JSONDecodeError as exc:
        raise _LineError(f"not JSON at column {exc.colno}: {exc.msg}") from exc
    except (strict_json.RepeatedKeyError, strict_json.ConstantError) as exc:
        raise _LineError(str(exc)) from exc
    except RecursionError as exc:
        raise _LineError("nested too deep") from exc
    if type(row) is not dict:
        raise _LineError("expected a JSON object")
    return row


def _csv_rows(
    lines: Iterable[bytes], mapping: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, Any] | _LineError]]:
    texts = _CsvTexts(lines)
    reader = csv.reader(texts, strict=True)
    header: Sequence[str] = ()
    while True:
        texts.begin_row()
        fault = None
        cells: list[str] | None = []
        try:
            cells = next(reader, None)
        except (csv.Error, _LineError) as exc:
            if not header:
                raise ConfigurationError(f"the CSV header cannot be read: {exc}") from exc
            fault = f"not CSV: {exc}"
        if cells is None:
            return
        if header and len(cells) > len(header):
            fault = f"{len(cells)} cells under {len(header)} column names"
        if fault is not None:
            # Over several lines it is a stray quote that took them: only the first of them is to blame.
            if texts.take_back():
                fault += ", in a row over several lines that begins here"
            yield texts.number, _LineError(fault)
        elif not cells:
            continue
        elif not header:
            header = _header(cells, mapping)
        elif any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
            yield texts.number, _LineError("not UTF-8")
        else:
            yield texts.number, {name: cell for name, cell in zip(header, cells, strict=False) if cell}


class _CsvTexts:
    """The lines as text; bytes that are not UTF-8 become lone surrogates, so that only their row is lost.

    A line that was cut needs no mark here: what is left of it has a cell over csv's field limit, more
    cells than the header, or makes an event larger than any record.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self.number = 0  # of the line handed out last

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._row) == MAX_ROW_LINES:
            raise _LineError(f"more than {MAX_ROW_LINES} lines")
        text = self._again.popleft() if self._again else self._read()
        self.number += 1
        self._row.append(text)
        return text

    def _read(self) -> str:
        line = next(self._lines)
        if self.number == 0:
            line = line.removeprefix(_BOM)
        return line.decode(errors="surrogateescape")

    def begin_row(self) -> None:
        """What is handed out from here on belongs to one row."""
        self._row.clear()

    def take_back(self) -> bool:
        """Hand out all but the first of this row's lines again; whether there were any."""
        following = self._row[1:]
        self._again.extendleft(reversed(following))
        self.number -= len(following)
        return bool(following)


def _header(cells: Sequence[str], mapping: Mapping[str, str]) -> Sequence[str]:
    repeated = {name for name in cells if cells.count(name) > 1}
    if repeated or not all(cells):
        fault = f"names {min(repeated)!a} twice" if repeated else "has a column without a name"
        raise ConfigurationError(f"the CSV header {fault}")
    field_of = {name: field for field, name in mapping.items()}
    if not {field_of.get(name, name) for name in cells}.issuperset(_REQUIRED):
        was_read = ",".join(cells)
        if len(was_read) > 200:
            was_read = was_read[:197] + "..."
        raise ConfigurationError(
            f"the CSV header reads {was_read!a}; expected column names with commas between them, among them "
            f"{','.join(mapping.get(field, field) for field in _REQUIRED)} (--map says so where they have "
            "other names)"
        )
    return cells


def _text(line: bytes) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise _LineError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError as exc:
        raise _LineError(f"byte {exc.start} is not UTF-8: {exc.reason}") from exc
