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

  # the same whole, as the API answers it
  python -m ops history SN-4F7K2M9Q --json
"""

_METADATA_CHARS = 80


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "history", "print a product's story", EXAMPLES)
    parser.add_argument("serial", metavar="SERIAL", help="the product's serial number; case matters")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the story; 1 when nothing has been recorded about the product."""
    from chalicelib.api import representations, views
    from chalicelib.domain import events
    from chalicelib.errors import ProductNotFoundError
    from ops import clients

    if not events.is_serial(args.serial):
        raise CommandError(f"serial: expected {events.SERIAL_RULE}, got {args.serial!r}", EXIT_USAGE)
    try:
        story = views.product(clients.history(), args.serial, datetime.now(timezone.utc))
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
    if not story.reading.voids_are_known:
        tell("its voids are more than can be read at once: which events are taken out is undetermined")
    rows = []
    for event in story.events:
        voiding = story.reading.voided.get(event.position)
        void = "" if voiding is None else f"taken out: {voiding.why}" if voiding.why else "taken out"
        metadata = event.metadata if event.metadata != "{}" else ""
        if len(metadata) > _METADATA_CHARS:
            metadata = metadata[: _METADATA_CHARS - 1] + "…"
        rows.append((event.occurred_at, event.type, event.source or "", void, printable(metadata)))
    table(("occurred_at", "type", "source", "", "metadata"), rows)
    if story.following is not None:
        tell(f"and older events: GET /products/{story.serial}/events pages through all of them")
