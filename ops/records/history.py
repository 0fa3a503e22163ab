"""`ops history`: one product's history in a terminal.

It is the view of `GET /products/{serial}`, without a server and without a token: reading it needs permission
to read the table.
"""

import argparse
from datetime import datetime, timezone

from chalicelib.api import queries, representations, views
from chalicelib.api.views import ProductView
from chalicelib.errors import InvalidRequestError, ProductNotFoundError
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.output import printable
from ops import arguments, clients
from ops.output import CommandError, print_json_text, print_line, print_table

EXAMPLES = """\
  # what happened to this product: status, anomalies, its newest 50 events, long metadata cut
  python -m ops history SN-4F7K2M9Q

  # by what a scanner reads from its label: a GS1 Digital Link, an EPC or an element string
  python -m ops history 'https://id.gs1.org/01/10614141073464/21/S77'

  # the same whole, as the API answers it
  python -m ops history SN-4F7K2M9Q --json
"""

_METADATA_CHARS = 80


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "history", help, EXAMPLES, run=run)
    parser.add_argument(
        "serial", metavar="SERIAL", help="the product's serial number, or its EPC; case matters"
    )


def run(args: argparse.Namespace) -> int:
    """Print the story; 1 when nothing has been recorded about the product."""
    now = datetime.now(timezone.utc)
    try:
        story = views.first_known(
            queries.serials_of(args.serial), lambda serial: views.product(clients.history(), serial, now)
        )
    except InvalidRequestError as exc:
        raise CommandError(str(exc), EXIT_USAGE) from exc
    except ProductNotFoundError as exc:
        raise CommandError(
            f"{exc}; case matters, and an event takes a moment to arrive", EXIT_FAILED
        ) from exc
    if args.json:
        print_json_text(representations.product_json(story, None))
    else:
        _print(story)
    return EXIT_OK


def _print(story: ProductView) -> None:
    since = f" since {story.status.since}" if story.status.since else ""
    print_line(f"{story.serial} is {story.status.status}{since}")
    for anomaly in story.reading.anomalies:
        print_line(f"odd: {anomaly.message} ({anomaly.position})")
    if not story.reading.voids_are_known:
        print_line("its voids are more than can be read at once: which events are taken out is undetermined")
    rows = []
    for event in story.events:
        voiding = story.reading.voided.get(event.position)
        void = "" if voiding is None else f"taken out: {voiding.why}" if voiding.why else "taken out"
        metadata = event.metadata if event.metadata != "{}" else ""
        if len(metadata) > _METADATA_CHARS:
            metadata = metadata[: _METADATA_CHARS - 1] + "…"
        rows.append((event.occurred_at, event.type, event.source or "", void, printable(metadata)))
    print_table(("occurred_at", "type", "source", "", "metadata"), rows)
    if story.following is not None:
        print_line(f"and older events: GET /products/{story.serial}/events pages through all of them")
