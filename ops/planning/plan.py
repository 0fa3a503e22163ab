"""`ops plan`: what a load needs on AWS and what it costs per month, alternatives side by side.

It is arithmetic (`capacity.py`, `sizing.py`, `bill.py`) over a dated list of prices; AWS is not asked.  The
defaults come from the deployed description: memory, tracing, retention.
"""

import argparse
from pathlib import Path

from cli.arguments import Commands, number, positive, whole_number
from cli.exits import EXIT_FAILED, EXIT_OK
from infra import functions
from ops import arguments
from ops.output import print_json
from ops.planning import bill, comparison, options, prices, sizing
from ops.planning.comparison import SHOWN, Comparison
from ops.planning.prices import PriceList
from ops.planning.sizing import ON_DEMAND, Alternative, MonthlyLoad

EXAMPLES = """\
  # this project's load: 20 million events a month, bursts of 100,000 stored within a minute
  python -m ops plan

  # smaller events, a larger burst, a shorter memory of the stream
  python -m ops plan --bytes 300 --burst 1000000 --within 300 --retention 24

  # a billion events a day, all alternatives, for a program
  python -m ops plan --events 30000000000 --all --json

  # your own prices: a copy of ops/planning/prices.json with another region in it
  python -m ops plan --region us-east-1 --prices ops/planning/prices.json

exit codes:
  0    an alternative stores the burst in time; the cheapest stands first
  1    none does; each says why
  2    the command line or the price list is unusable
"""


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "plan", help, EXAMPLES, run=run)
    default = MonthlyLoad()
    load = parser.add_argument_group("the load")
    seconds = number(86_400, what="seconds")
    hours = whole_number(bill.FREE_RETENTION_HOURS, bill.MAX_RETENTION_HOURS, "hours")
    for name, dest, kind, help in (
        ("--events", "events_per_month", positive, "events per month"),
        ("--bytes", "event_bytes", options.event_bytes, "bytes of an event as it is sent, JSON"),
        ("--burst", "burst", positive, "events that come within seconds"),
        ("--within", "within_s", seconds, "seconds until a burst has to be stored"),
        ("--lookups", "lookups_per_month", positive, "API requests per month"),
        ("--events-per-product", "events_per_product", positive, "events that a lookup reads"),
        ("--months", "months_kept", positive, "months of events that storage is billed for"),
        ("--retention", "retention_hours", hours, "hours that the stream retains; more has other prices"),
        ("--linger", "linger_s", seconds, "seconds that an aggregating producer waits for more events"),
    ):
        load.add_argument(
            name,
            dest=dest,
            type=kind,
            default=getattr(default, dest),
            metavar="N",
            help=f"{help} (%(default)s)",
        )
    parser.add_argument("--region", default="us-east-1", metavar="NAME", help="whose prices (%(default)s)")
    parser.add_argument(
        "--prices", type=Path, default=prices.FILE, metavar="FILE", help="another price list than ours"
    )
    parser.add_argument("--all", action="store_true", help=f"all alternatives, not only the first {SHOWN}")


def run(args: argparse.Namespace) -> int:
    """Compare; 1 when no alternative meets the target."""
    fields = {name: getattr(args, name) for name in MonthlyLoad.__slots__ if hasattr(args, name)}
    load = MonthlyLoad(**fields, is_traced=functions.read().ingest.tracing == "Active")
    compared = compare(load, PriceList(args.region, args.prices))
    shown = compared.priced if args.all else compared.priced[:SHOWN]
    if args.json:
        print_json(comparison.as_json(compared, shown))
    else:
        comparison.print_comparison(compared, shown)
    return EXIT_OK if compared.priced[0].design.is_enough else EXIT_FAILED


def compare(load: MonthlyLoad, listed: PriceList) -> Comparison:
    """Price every alternative: those that meet the target first, the cheapest first.

    Raises ConfigurationError when the list lacks a price.
    """
    priced = []
    for choice in sizing.alternatives_for(load):
        design = sizing.design(load, choice)
        priced.append(comparison.Priced(design, bill.bill(load, design, listed)))
    priced.sort(key=lambda each: (not each.design.is_enough, each.usd))
    return Comparison(load, listed, priced, deployed_alternative())


def deployed_alternative() -> Alternative:
    """Return what `infra/` describes, as far as it is one of the alternatives."""
    return Alternative(ON_DEMAND, False, ON_DEMAND, functions.read().ingest.memory_size)
