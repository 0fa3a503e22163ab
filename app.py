"""The deployed surface, and a map of it: what comes in, and who answers.

    Kinesis stream      process_lifecycle       records -> history, quarantine   chalicelib/ingest/batch.py
    dead-letter queue   triage_dead_letters     pointers -> records -> verdicts  chalicelib/triage/triage.py
    REST API            /products/{serial}      what happened to this product    chalicelib/api/routes.py
                        /products/{serial}/events
                        /events                 events onto the stream          chalicelib/api/capture.py
                        /                       a search box, as a page          chalicelib/api/pages.py
                        /assets/{name}
                        /openapi.json           this API, described              chalicelib/api/openapi.json
                        /event.schema.json      an event, described              chalicelib/domain/events.py
                        /health
                        /{proxy+}               everything else: 404 in our form

Handlers translate and do nothing else.  Importing needs no environment and makes no AWS call.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from chalice.app import Chalice, KinesisEvent, Request, Response, SQSEvent

from chalicelib import settings

app = Chalice(app_name=settings.APP_NAME)
app.api.cors = settings.cors()

app.api.binary_types += ["application/gzip", "application/x-gzip"]

#: How long a caller who reports events waits at most: less than the function's time, and API Gateway's.
CAPTURE_S = 20.0

#: What every route answers to (RFC 9110, 9.1).  API Gateway does not make a HEAD out of a GET.
READING = ["GET", "HEAD"]

# `app.current_request` belongs to whoever asked last, and `chalice local` answers several at once.
_request: ContextVar[Request] = ContextVar("request")
_caller: ContextVar[str] = ContextVar("caller")


@app.middleware("http")
def finish(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Every answer's common part, Chalice's own refusals included."""
    from chalicelib.api import responses
    from chalicelib.telemetry import logs

    started = time.monotonic()
    _request.set(request)
    _caller.set("")
    response = responses.finished(request, get_response)
    logs.answered(request, response.status_code, _caller.get(), time.monotonic() - started)
    return response


# Window 0: Lambda invokes as soon as there are records, because people wait for an answer.
# 500 records of 300 bytes are 0.4 MB of Lambda's 6, twenty BatchWriteItems, and well under a second.
# TRIM_HORIZON: what was put on the stream before the mapping existed counts too.
@app.on_kinesis_record(stream=settings.stream_name(), batch_size=500, starting_position="TRIM_HORIZON")
def process_lifecycle(event: KinesisEvent) -> dict[str, Any]:
    """Keep a batch of lifecycle events; answer with the partial batch response."""
    from chalicelib import cpu_affinity, wiring
    from chalicelib.deadline import Deadline
    from chalicelib.ingest import batch
    from chalicelib.stream import records
    from chalicelib.telemetry import logs

    started = time.monotonic()
    context: Any = event.context  # Lambda's, though Chalice's types call it a dict
    lambda_event = event.to_dict()
    with cpu_affinity.staying(wiring.core()):
        outcome = batch.ingest(
            records.from_lambda_event(lambda_event),
            wiring.history(),
            wiring.quarantine(),
            Deadline(context.get_remaining_time_in_millis() / 1000),
            wiring.writers(),
        )
    seconds = time.monotonic() - started
    logs.batch_done(lambda_event, outcome, seconds, context.aws_request_id)
    response = batch.partial_response(outcome, settings.partial_responses())
    # A mapping with a tumbling window (set by hand: ours has none) takes an answer without it for a failure.
    return {**response, "state": lambda_event["state"]} if "state" in lambda_event else response


# One message an invocation: a wide range may need all of its time, and a message that waited behind it
# would use up its receives and be parked without ever having been looked at.  Two at a time, the fewest that
# Lambda allows: triage reads the stream and writes the table that ingest needs just then.
@app.on_sqs_message(queue=settings.dead_letter_queue(), batch_size=1, maximum_concurrency=2)
def triage_dead_letters(event: SQSEvent) -> dict[str, Any]:
    """Give every record that a dead letter points to its verdict; answer with the partial batch response."""
    from chalicelib import wiring
    from chalicelib.deadline import Deadline
    from chalicelib.telemetry import logs
    from chalicelib.triage import triage

    context: Any = event.context  # Lambda's, though Chalice's types call it a dict
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000)
    triaging = triage.Triage(
        wiring.kinesis(),
        settings.stream_name(),
        wiring.history(),
        wiring.quarantine(),
        wiring.progress(),
        wiring.writers(),
    )
    reports = triaging.messages(event.to_dict()["Records"], deadline)
    for report in reports:
        logs.dead_letter_triaged(report, context.aws_request_id)
    return triage.partial_response(reports, settings.partial_responses())


@app.route("/products/{serial}", methods=READING)
def product(serial: str) -> Response:
    """What happened to this product: its status, what is odd, and its newest events."""
    from chalicelib import wiring
    from chalicelib.api import responses, routes

    with responses.http_errors():
        return routes.product(_reader(serial), serial, wiring.history_for_reading())


@app.route("/products/{serial}/events", methods=READING)
def product_events(serial: str) -> Response:
    """A product's events page by page, by type, time and order."""
    from chalicelib import wiring
    from chalicelib.api import responses, routes

    with responses.http_errors():
        return routes.product_events(_reader(serial), serial, wiring.history_for_reading())


# No list of content types: a body is judged by its first bytes.  What is binary, API Gateway has to be told.
@app.route("/events", methods=["POST"], content_types=[])
def report_events() -> Response:
    """Put events onto the stream; answer with where they will be."""
    from chalicelib import wiring
    from chalicelib.api import auth, capture, responses
    from chalicelib.deadline import Deadline

    with responses.http_errors():
        request = _request.get()
        token = auth.check(request.headers, auth.WRITE, wiring.tokens())
        _caller.set(token.name)
        return capture.post_events(request, token, wiring.putter(), Deadline(CAPTURE_S))


@app.route("/health", methods=READING)
def health() -> Response:
    """Whether the history answers."""
    from chalicelib import wiring
    from chalicelib.api import routes

    return routes.health(wiring.history_for_reading())


@app.route("/", methods=READING)
def home() -> Response:
    """Where a person begins."""
    from chalicelib.api import responses, routes

    with responses.http_errors():
        return routes.home(_request.get())


@app.route("/assets/{name}", methods=READING)
def asset(name: str) -> Response:
    """What pages are made of."""
    from chalicelib.api import routes

    return routes.asset(name)


@app.route("/openapi.json", methods=READING)
def openapi() -> Response:
    """This API, described for programs."""
    from chalicelib.api import routes

    return routes.openapi()


@app.route("/event.schema.json", methods=READING)
def event_schema() -> Response:
    """What an event must look like, for programs."""
    from chalicelib.api import routes

    return routes.event_schema()


# Chalice takes a greedy path for an ordinary one; API Gateway prefers every other route to it, and sends it
# GET and HEAD of whatever has none, instead of answering `Missing Authentication Token` by itself.
@app.route("/{proxy+}", methods=READING)
def elsewhere() -> Response:
    """What is not there, in our form: JSON for programs, a page for people."""
    from chalicelib.api import routes

    return routes.elsewhere()


def _reader(serial: str) -> Request:
    """The request, once it is known who asks.  Whatever answers with product data takes it from here."""
    from chalicelib import wiring
    from chalicelib.api import auth, queries

    request = _request.get()
    token = auth.check(request.headers, auth.READ, wiring.tokens())
    _caller.set(token.name)
    # Of an EPC's spellings the first: it names the same product as those that it may be stored under.
    auth.check_reach(token, next(iter(queries.serials_of(unquote(serial)))))
    return request
