"""The alternatives of `ops plan`, priced and compared: as JSON with everything, or as tables for people."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from ops.output import counted, print_line, print_table
from ops.planning import bill, capacity, sizing
from ops.planning.bill import BillLine
from ops.planning.prices import PriceList
from ops.planning.sizing import Alternative, Design, MonthlyLoad

#: Alternatives shown without --all.
SHOWN = 8

#: Of an alternative, beside its price.  A table's writes per second are provisioned, or its warm throughput.
COLUMNS = (
    "drain time",
    "stream",
    "shards",
    "events/record",
    "batch",
    "lanes/shard",
    "concurrency",
    "memory",
    "table",
    "writes/s",
)


@dataclass(frozen=True, slots=True)
class Priced:
    """A design and its bill."""

    design: Design
    lines: list[BillLine]

    @property
    def usd(self) -> Decimal:
        """The sum of the bill."""
        return bill.total(self.lines)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All alternatives for a load, the best first, and the deployed one."""

    load: MonthlyLoad
    prices: PriceList
    priced: list[Priced]
    deployed: Alternative


def as_json(compared: Comparison, shown: Sequence[Priced]) -> dict[str, Any]:
    """Return the comparison; money in US dollars, exact sums rounded to cents."""
    load, prices = compared.load, compared.prices
    return {
        "load": asdict(load),
        "region": prices.region,
        "prices_compiled": prices.compiled,
        "write_units_per_event": capacity.write_units(load.event_bytes),
        "notes": notes(load),
        "alternatives": [
            {
                "usd_per_month": _cents(each.usd),
                "is_deployed": each.design.alternative == compared.deployed,
                "is_enough": each.design.is_enough,
                "shortcomings": list(each.design.shortcomings),
                "remarks": [*each.design.remarks, *sizing.beyond_quotas(each.design, prices.region)],
                "drain_s": round(each.design.drain_s, 1) if math.isfinite(each.design.drain_s) else None,
                "stream": each.design.alternative.stream,
                "shards": each.design.shards,
                "events_per_record": each.design.packing.events_per_record,
                "batch_size": each.design.alternative.batch_size,
                "parallelization": each.design.parallelization,
                "concurrency": each.design.concurrency,
                "memory_mb": each.design.alternative.memory_mb,
                "table": each.design.alternative.table,
                "write_units_s": each.design.write_units_s,
                "bill": [_line_as_json(line, prices) for line in each.lines],
            }
            for each in shown
        ],
    }


def notes(load: MonthlyLoad) -> list[str]:
    """Return what a decision should take into account beside the figures."""
    noted = []
    units = capacity.write_units(load.event_bytes)
    spare = capacity.item_bytes(load.event_bytes) - (units - 1) * capacity.KB
    if units > 1 and spare <= load.event_bytes // 10:
        noted.append(
            f"{spare} bytes less per event would save a write unit: the item has "
            f"{capacity.ITEM_OVERHEAD_BYTES} bytes more than the event"
        )
    fitting = capacity.aggregated(load.event_bytes).events_per_record
    if fitting > 1 and load.average_s * load.linger_s < fitting:
        noted.append(
            f"an aggregated record could hold {fitting} events, but on average fewer come while the producer "
            f"waits {load.linger_s:g} s; our own (`--aggregate`) sends what it has when its input pauses"
        )
    noted.append(
        "list prices without free tiers; not counted: KMS requests, data out of AWS, SNS, the archive"
    )
    return noted


def print_comparison(compared: Comparison, shown: Sequence[Priced]) -> None:
    """Print the alternatives, what there is to note about them, and the bill of the first."""
    load, prices, priced = compared.load, compared.prices, compared.priced
    units = counted(capacity.write_units(load.event_bytes), "write unit")
    print_line(
        f"{counted(load.events_per_month, 'event')} a month of {counted(load.event_bytes, 'byte')} "
        f"({load.average_s:,.1f} a second, {units} each), bursts of {load.burst:,} stored within "
        f"{load.within_s:g} s"
    )
    print_line(
        f"prices of {prices.region} in US dollars, compiled {prices.compiled} from the sources in prices.json"
    )
    print_line("")
    numbers: dict[str, int] = {}
    rows = []
    for each in shown:
        noted = [numbers.setdefault(remark, len(numbers) + 1) for remark in _remarks(compared, each.design)]
        rows.append((f"{each.usd:,.2f}", *_as_row(each.design), ", ".join(map(str, noted))))
    print_table(("USD/month", *COLUMNS, "notes"), rows)
    if len(shown) < len(priced):
        print_line(f"and {len(priced) - len(shown)} more: --all")
    if numbers:
        print_line("")
    for remark, number in numbers.items():
        print_line(f"{number}: {remark}")
    print_line("")
    is_met = priced[0].design.is_enough
    print_line("the first of them, line by line:" if is_met else "none meets the target; the cheapest:")
    billed = [
        (
            line.service,
            line.what,
            f"{line.quantity:,.3f}".rstrip("0").rstrip("."),
            f"x {prices[line.price].usd} per {prices[line.price].unit}",
            f"{line.usd:,.2f}",
        )
        for line in priced[0].lines
    ]
    print_table(
        ("service", "what", "quantity", "price", "USD"),
        [*billed, ("", "", "", "", f"{priced[0].usd:,.2f}")],
    )
    for note in notes(load):
        print_line(f"note: {note}")


def _as_row(design: Design) -> tuple[str, ...]:
    """Return what an operator sets up, under COLUMNS."""
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


def _remarks(compared: Comparison, design: Design) -> list[str]:
    described = ["as described in infra/"] if design.alternative == compared.deployed else []
    beyond = sizing.beyond_quotas(design, compared.prices.region)
    return [*described, *design.shortcomings, *design.remarks, *beyond]


def _line_as_json(line: BillLine, prices: PriceList) -> dict[str, Any]:
    price, source = prices[line.price], prices.source(line.price)
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
