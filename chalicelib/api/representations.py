"""A product and its events as JSON, NDJSON and CSV.

The only place that knows what these look like; pages.py knows HTML and epcis.py knows EPCIS.  Metadata
goes out as the canonical JSON text that is stored, never through Python numbers.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

import msgspec

from chalicelib.api.views import EventPage, ProductView
from chalicelib.domain import instants
from chalicelib.tables.history import StoredEvent

#: The columns of a CSV page: an event's fields, its metadata as JSON text.
COLUMNS = ("serial", "position", "type", "occurred_at", "event_id", "source", "recorded_at", "metadata")


def product_json(view: ProductView, following: str | None) -> str:
    """`GET /products/{serial}`; `following` is the reference of the rest, if there is more."""
    return _text(
        {
            "serial": view.serial,
            "status": view.status.status,
            "since": view.status.since,
            "anomalies": view.reading.anomalies,
            "history": [_event(event, view.reading.voided_by) for event in view.events],
            "next": following,
        }
    )


def events_json(page: EventPage, following: str | None) -> str:
    """`GET /products/{serial}/events`; `following` is the reference of the next page, if there is one."""
    return _text(
        {"serial": page.serial, "events": [_event(event, {}) for event in page.events], "next": following}
    )


def events_ndjson(page: EventPage) -> str:
    """One event a line, each with its serial, so that a line says it all."""
    return "".join(_text({"serial": page.serial, **_event(event, {})}) + "\n" for event in page.events)


def events_csv(page: EventPage) -> str:
    """RFC 4180 with a header line: one event a row, text exactly as recorded."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for event in page.events:
        row: dict[str, Any] = {"serial": page.serial, **_event(event, {}), "metadata": event.metadata}
        writer.writerow([row[column] for column in COLUMNS])
    return file.getvalue()


def recorded_at(event: StoredEvent) -> str:
    """When the stream carried the event, as RFC 3339 in UTC."""
    return instants.from_epoch_ms(event.recorded_at_ms)


def _event(event: StoredEvent, voided_by: Mapping[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "position": event.position,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "event_id": event.event_id,
        "source": event.source,
        "metadata": msgspec.Raw(event.metadata.encode()),
        "recorded_at": recorded_at(event),
    }
    if event.position in voided_by:
        shown["voided_by"] = voided_by[event.position]
    return shown


def _text(body: object) -> str:
    return msgspec.json.encode(body).decode()
