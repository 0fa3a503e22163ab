"""`ops history`: one product's story in a terminal, read as the API reads it.

The same view as `GET /products/{serial}`, without a server and without a token: whoever may read the table
may read this.
"""

import argparse
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from ops import arguments
from ops.output import CommandError, printable, table, tell, tell_json_text

if TYPE_CHECKING:
    from chalicelib.api.views import ProductView

EXAMPLES = """\
  # what happened to this product: status, anomalies, its newest 50 events, long metadata cut
  python -m ops history SN-4F7K2M9Q

  # by what a scanner reads from its label: a GS1 Digital Link, an EPC or an element string
  python -m ops history 'https://id.gs1.org/01/10614141073464/21/S77'

  # the same whole, as the API answers it
  python -m ops history SN-4F7K2M9Q --json
"""

_METADATA_CHARS = 80


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "history", "print a product's story", EXAMPLES)
    parser.add_argument(
        "serial", metavar="SERIAL", help="the product's serial number, or its EPC; case matters"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the story; 1 when nothing has been recorded about the product."""
    from chalicelib.api import queries, representations, views
    from chalicelib.errors import InvalidRequestError, ProductNotFoundError
    from ops import clients

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
        tell_json_text(representations.product_json(story, None))
    else:
        _tell(story)
    return EXIT_OK


def _tell(story: "ProductView") -> None:
    since = f" since {story.status.since}" if story.status.since else ""
    tell(f"{story.serial} is {story.status.status}{since}")
    for anomaly in story.reading.anomalies:
        tell(f"odd: {anomaly.message} ({anomaly.position})")
    rows = []
    for event in story.events:
        void = "taken out" if event.position in story.reading.voided_by else ""
        metadata = event.metadata if event.metadata != "{}" else ""
        if len(metadata) > _METADATA_CHARS:
            metadata = metadata[: _METADATA_CHARS - 1] + "…"
        rows.append((event.occurred_at, event.type, event.source or "", void, printable(metadata)))
    table(("occurred_at", "type", "source", "", "metadata"), rows)
    if story.following is not None:
        tell(f"and older events: GET /products/{story.serial}/events pages through all of them")
