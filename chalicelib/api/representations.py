"""A product and its events as JSON, NDJSON and CSV.

The only place that knows what these look like; pages.py knows HTML and epcis.py knows EPCIS.  Metadata
goes out as the canonical JSON text that is stored, never through Python numbers.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from chalicelib.api.views import EventPage, ProductView
from chalicelib.domain import instants, lifecycle
from chalicelib.tables.history import StoredEvent

#: The columns of a CSV page: an event's fields, its metadata as JSON text, and what takes the event out.
COLUMNS = (
    *("serial", "position", "type", "occurred_at", "event_id", "source", "recorded_at", "metadata"),
    *("voided_by", "voided_why"),
)

#: More of them where anomalies are asked for.
ANOMALY_COLUMNS = ("anomaly", "anomaly_message")

#: Stands where it cannot be known whether an event is taken out, or unexpected where it stands.
UNDETERMINED = lifecycle.UNDETERMINED


def product_json(view: ProductView, following: str | None) -> str:
    """`GET /products/{serial}`; `following` is the reference of the rest, if there is more."""
    return _text(
        {
            "serial": view.serial,
            "status": view.status.status,
            "since": view.status.since,
            **_anomalies(view.reading),
            "history": [_event(event, view.reading) for event in view.events],
            "next": following,
        }
    )


def events_json(page: EventPage, following: str | None, anomalies: bool) -> str:
    """`GET /products/{serial}/events`; `following` is the reference of the next page, if there is one."""
    return _text(
        {
            "serial": page.serial,
            **(_anomalies(page.reading) if anomalies else {}),
            "events": [_event(event, page.reading) for event in page.events],
            "next": following,
        }
    )


def events_ndjson(page: EventPage, anomalies: bool) -> str:
    """One event a line, each with its serial, so that a line says it all."""
    return "".join(
        _text({"serial": page.serial, **_event(event, page.reading), **odd}) + "\n"
        for event, odd in zip(page.events, _anomaly_fields(page, anomalies), strict=True)
    )


def events_csv(page: EventPage, anomalies: bool) -> str:
    """RFC 4180 with a header line: one event a row, text exactly as recorded."""
    file = io.StringIO()
    writer = csv.writer(file)
    columns = COLUMNS + ANOMALY_COLUMNS if anomalies else COLUMNS
    writer.writerow(columns)
    for event, odd in zip(page.events, _anomaly_fields(page, anomalies), strict=True):
        row = {"serial": page.serial, **_event(event, page.reading), "metadata": event.metadata, **odd}
        writer.writerow([row.get(column) for column in columns])
    return file.getvalue()


def recorded_at(event: StoredEvent) -> str:
    """When the stream carried the event, as RFC 3339 in UTC."""
    return instants.from_epoch_ms(event.recorded_at_ms)


def _event(event: StoredEvent, reading: lifecycle.Reading) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "position": event.position,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "event_id": event.event_id,
        "source": event.source,
        "metadata": msgspec.Raw(event.metadata.encode()),
        "recorded_at": recorded_at(event),
    }
    if not reading.voids_are_known:
        shown["voided_by"] = UNDETERMINED
    elif (voiding := reading.voided.get(event.position)) is not None:
        shown["voided_by"] = voiding.by
        shown["voided_why"] = voiding.why
    return shown


def _anomalies(reading: lifecycle.Reading) -> dict[str, Any]:
    return {"anomalies": reading.anomalies, "anomalies_known_after": reading.known_after}


def _anomaly_fields(page: EventPage, anomalies: bool) -> Iterator[dict[str, str | None]]:
    """What is odd about each event, as fields of its own; no fields where nobody asks."""
    odd = {anomaly.position: anomaly for anomaly in page.reading.anomalies}
    for event in page.events:
        if not anomalies:
            yield {}
        elif event.position in page.reading.undetermined:
            yield {"anomaly": UNDETERMINED, "anomaly_message": None}
        else:
            found = odd.get(event.position)
            yield {
                "anomaly": found.code if found else None,
                "anomaly_message": found.message if found else None,
            }


def _text(body: object) -> str:
    return msgspec.json.encode(body).decode()
