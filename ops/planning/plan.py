"""`ops plan`: what a load needs on AWS and what it costs a month, alternatives side by side.

Nothing is deployed and nothing is asked: it is arithmetic (`capacity.py`, `sizing.py`, `bill.py`) over one
dated list of prices.  What the deployed description says (memory, tracing, retention) is where the defaults
come from.
"""

import argparse
import json
import math
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from chalicelib.errors import ConfigurationError
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.paths import ROOT
from ops import arguments
from ops.output import CommandError, counted, table, tell, tell_json
from ops.planning import bill as bills
from ops.planning import capacity, prices, sizing
from ops.planning.bill import Line
from ops.planning.prices import PriceList
from ops.planning.sizing import ON_DEMAND, Alternative, Design, Load

FUNCTIONS = ROOT / "infra" / "functions.json"

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

#: What is shown without --all.
SHOWN = 8

#: Of an alternative, beside its price.  A table's writes a second are provisioned, or its warm throughput.
COLUMNS = (
    "stored in",
    "stream",
    "shards",
    "a record",
    "batch",
    "parallel",
    "at once",
    "memory",
    "table",
    "writes/s",
)


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "plan", "size a deployment and price it before paying", EXAMPLES)
    default = Load()
    load = parser.add_argument_group("the load")
    for name, dest, kind, help in (
        ("--events", "events_per_month", arguments.positive, "events a month"),
        ("--bytes", "event_bytes", arguments.event_bytes, "bytes of an event as it is sent, JSON"),
        ("--burst", "burst", arguments.positive, "events that come within seconds"),
        ("--within", "within_s", _seconds, "seconds until a burst has to be stored"),
        ("--lookups", "lookups_per_month", arguments.positive, "API requests a month"),
        ("--events-per-product", "events_per_product", arguments.positive, "events that a lookup reads"),
        ("--months", "months_kept", arguments.positive, "months of events that storage is billed for"),
        ("--retention", "retention_hours", _retention, "hours that the stream can be read again"),
        ("--linger", "linger_s", _seconds, "seconds that an aggregating producer waits for company"),
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare; 1 when no alternative meets the target.  Raises CommandError for an unusable price list."""
    deployed = deployed_alternative()
    fields = {name: getattr(args, name) for name in Load.__slots__ if hasattr(args, name)}
    load = Load(**fields, is_traced=_is_traced())
    try:
        listed = PriceList(args.region, args.prices)
        compared = compare(load, listed)
    except ConfigurationError as exc:
        raise CommandError(str(exc), EXIT_USAGE) from exc
    is_met = compared[0][0].is_enough
    if args.json:
        chosen = compared if args.all else compared[:SHOWN]
        tell_json(as_json(load, listed, chosen, deployed))
    else:
        _tell(load, listed, compared, deployed, show_all=args.all)
    return EXIT_OK if is_met else EXIT_FAILED


def compare(load: Load, listed: PriceList) -> list[tuple[Design, list[Line]]]:
    """Every alternative with its bill: those that meet the target first, the cheapest first."""
    compared = []
    for choice in sizing.alternatives_for(load):
        design = sizing.design(load, choice)
        compared.append((design, bills.bill(load, design, listed)))
    return sorted(compared, key=lambda pair: (not pair[0].is_enough, bills.total(pair[1])))


def deployed_alternative() -> Alternative:
    """What `infra/` describes, as far as it is one of the alternatives."""
    process = json.loads(FUNCTIONS.read_text())["Resources"]["ProcessLifecycle"]["Properties"]
    return Alternative(ON_DEMAND, False, ON_DEMAND, process["MemorySize"])


def as_json(
    load: Load, listed: PriceList, compared: list[tuple[Design, list[Line]]], deployed: Alternative
) -> dict[str, Any]:
    """The whole comparison; money in US dollars, exact sums rounded to cents."""
    return {
        "load": asdict(load),
        "region": listed.region,
        "prices_compiled": listed.compiled,
        "write_units_per_event": capacity.write_units(load.event_bytes),
        "notes": notes(load),
        "alternatives": [
            {
                "usd_per_month": _cents(bills.total(lines)),
                "is_deployed": design.alternative == deployed,
                "is_enough": design.is_enough,
                "shortcomings": list(design.shortcomings),
                "remarks": [*design.remarks, *sizing.beyond_quotas(design, listed.region)],
                "drain_s": round(design.drain_s, 1) if math.isfinite(design.drain_s) else None,
                "stream": design.alternative.stream,
                "shards": design.shards,
                "events_per_record": design.packing.events_per_record,
                "batch_size": design.alternative.batch_size,
                "parallelization": design.parallelization,
                "concurrency": design.concurrency,
                "memory_mb": design.alternative.memory_mb,
                "table": design.alternative.table,
                "write_units_s": design.write_units_s,
                "bill": [_line_as_json(line, listed) for line in lines],
            }
            for design, lines in compared
        ],
    }


def notes(load: Load) -> list[str]:
    """What somebody who decides should know."""
    told = []
    units = capacity.write_units(load.event_bytes)
    spare = capacity.item_bytes(load.event_bytes) - (units - 1) * capacity.KB
    if units > 1 and spare <= load.event_bytes // 10:
        told.append(
            f"{spare} bytes less an event would save a write unit: the item has "
            f"{capacity.ITEM_OVERHEAD_BYTES} bytes more than the event"
        )
    fitting = capacity.aggregated(load.event_bytes).events_per_record
    if fitting > 1 and load.average_s * load.linger_s < fitting:
        told.append(
            f"an aggregated record could hold {fitting} events, but on average fewer come while the producer "
            f"waits {load.linger_s:g} s; our own (`--aggregate`) sends what it has when its input pauses"
        )
    told.append(
        "list prices without free tiers; not counted: KMS requests, data out of AWS, SNS, the archive"
    )
    return told


def _tell(
    load: Load,
    listed: PriceList,
    compared: list[tuple[Design, list[Line]]],
    deployed: Alternative,
    *,
    show_all: bool,
) -> None:
    units = counted(capacity.write_units(load.event_bytes), "write unit")
    tell(
        f"{counted(load.events_per_month, 'event')} a month of {counted(load.event_bytes, 'byte')} "
        f"({load.average_s:,.1f} a second, {units} each), bursts of {load.burst:,} stored within "
        f"{load.within_s:g} s"
    )
    tell(
        f"prices of {listed.region} in US dollars, compiled {listed.compiled} from the sources in prices.json"
    )
    tell("")
    shown = compared if show_all else compared[:SHOWN]
    numbers: dict[str, int] = {}
    rows = []
    for design, lines in shown:
        remarks = _remarks(design, deployed, listed.region)
        noted = [numbers.setdefault(remark, len(numbers) + 1) for remark in remarks]
        rows.append((f"{bills.total(lines):,.2f}", *_as_row(design), ", ".join(map(str, noted))))
    table(("a month", *COLUMNS, "see"), rows)
    if len(shown) < len(compared):
        tell(f"and {len(compared) - len(shown)} more: --all")
    if numbers:
        tell("")
    for remark, number in numbers.items():
        tell(f"{number}: {remark}")
    design, lines = compared[0]
    tell("")
    tell("the first of them, line by line:" if design.is_enough else "none meets the target; the cheapest:")
    billed = [
        (
            line.service,
            line.what,
            f"{line.quantity:,.3f}".rstrip("0").rstrip("."),
            f"x {listed[line.price].usd} {_with_article(listed[line.price].unit)}",
            f"{line.usd:,.2f}",
        )
        for line in lines
    ]
    table(
        ("service", "what", "quantity", "price", "USD"),
        [*billed, ("", "", "", "", f"{bills.total(lines):,.2f}")],
    )
    for note in notes(load):
        tell(f"note: {note}")


def _as_row(design: Design) -> tuple[str, ...]:
    """What an operator sets up, under COLUMNS."""
    choice = design.alternative
    digits = 1 if design.drain_s < 10 else 0
    return (
        f"{design.drain_s:,.{digits}f} s" if math.isfinite(design.drain_s) else "never",
        choice.stream,
        f"{design.shards:,}",
        str(design.packing.events_per_record),
        str(choice.batch_size),
        str(design.parallelization),
        f"{design.concurrency:,}",
        f"{choice.memory_mb} MB",
        choice.table,
        f"{design.write_units_s:,}",
    )


def _remarks(design: Design, deployed: Alternative, region: str) -> list[str]:
    described = ["as described in infra/"] if design.alternative == deployed else []
    return [*described, *design.shortcomings, *design.remarks, *sizing.beyond_quotas(design, region)]


def _with_article(unit: str) -> str:
    return f"an {unit}" if unit[0] in "aeiou" else f"a {unit}"


def _line_as_json(line: Line, listed: PriceList) -> dict[str, Any]:
    price, source = listed[line.price], listed.source(line.price)
    return {
        "service": line.service,
        "what": line.what,
        "quantity": float(line.quantity),
        "unit": price.unit,
        "usd_per_unit": float(price.usd),
        "usd": _cents(line.usd),
        "source": source.url,
        "price_as_of": source.as_of,
        "price_read": source.read,
    }


def _cents(usd: Decimal) -> float:
    return float(round(usd, 2))


def _is_traced() -> bool:
    resources = json.loads(FUNCTIONS.read_text())["Resources"]
    return any(each["Properties"].get("Tracing") == "Active" for each in resources.values())


def _retention(text: str) -> int:
    number = arguments.positive(text)
    if not bills.FREE_RETENTION_HOURS <= number <= bills.MAX_RETENTION_HOURS:
        raise argparse.ArgumentTypeError(f"expected 24 to 168 hours, got {text}; longer has other prices")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}") from exc
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError(f"expected more than 0 and at most a day of seconds, got {text!r}")
    return number
