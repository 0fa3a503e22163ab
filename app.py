"""The deployed surface, and a map of it: what comes in, and who answers.

    Kinesis stream      process_lifecycle       records -> history and quarantine   chalicelib/ingest.py
    dead-letter queue   triage_dead_letters     pointers -> records -> verdicts     chalicelib/triage.py
    REST API            /products/{serial}      what happened to this product       chalicelib/api.py
                        /products/{serial}/events
                        /health

Handlers translate and do nothing else.  Importing needs no environment and makes no AWS call.
"""

import time
from typing import Any

from chalice.app import Chalice, KinesisEvent, Request, Response, SQSEvent

from chalicelib import settings

app = Chalice(app_name=settings.APP_NAME)


# Window 0: Lambda invokes as soon as there are records, because people wait for an answer.
# 500 records of 300 bytes are 0.4 MB of Lambda's 6, twenty BatchWriteItems, and well under a second.
# TRIM_HORIZON: what was put on the stream before the mapping existed counts too.
@app.on_kinesis_record(stream=settings.stream_name(), batch_size=500, starting_position="TRIM_HORIZON")
def process_lifecycle(event: KinesisEvent) -> dict[str, Any]:
    """Keep a batch of lifecycle events; answer with the partial batch response."""
    from chalicelib import ingest, observability, records, wiring
    from chalicelib.storage import Deadline

    started = time.monotonic()
    context: Any = event.context  # Lambda's, though Chalice's types call it a dict
    lambda_event = event.to_dict()
    outcome = ingest.ingest(
        records.from_lambda_event(lambda_event),
        wiring.history(),
        wiring.quarantine(),
        Deadline(context.get_remaining_time_in_millis() / 1000),
        wiring.writers(),
    )
    seconds = time.monotonic() - started
    observability.batch_done(lambda_event, outcome, seconds, context.aws_request_id)
    return ingest.partial_response(outcome, settings.partial_responses())


# One message an invocation: a wide range may need all of its time, and a message that waited behind it
# would use up its receives and be parked without ever having been looked at.
@app.on_sqs_message(queue=settings.dead_letter_queue(), batch_size=1)
def triage_dead_letters(event: SQSEvent) -> dict[str, Any]:
    """Give every record that a dead letter points to its verdict; answer with the partial batch response."""
    from chalicelib import triage, wiring
    from chalicelib.storage import Deadline

    context: Any = event.context  # Lambda's, though Chalice's types call it a dict
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000)
    triaging = triage.Triage(
        wiring.kinesis(),
        settings.stream_name(),
        wiring.history(),
        wiring.quarantine(),
        wiring.writers(),
    )
    reports = triaging.messages(event.to_dict()["Records"], deadline, context.aws_request_id)
    return triage.partial_response(reports, settings.partial_responses())


@app.route("/products/{serial}")
def product(serial: str) -> Response:
    """What happened to this product: its status, what is odd, and its newest events."""
    from chalicelib import api, wiring

    with api.http_errors():
        return api.product(_request(), serial, wiring.history_for_reading())


@app.route("/products/{serial}/events")
def product_events(serial: str) -> Response:
    """A product's events page by page, by type, time and order."""
    from chalicelib import api, wiring

    with api.http_errors():
        return api.product_events(_request(), serial, wiring.history_for_reading())


@app.route("/health")
def health() -> Response:
    """Whether the history answers."""
    from chalicelib import api, wiring

    return api.health(wiring.history_for_reading())


def _request() -> Request:
    request = app.current_request
    assert request is not None, "only called from a view"
    return request
