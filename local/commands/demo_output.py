"""What `demo` shows a person: bars while it runs, a table, the verdict, and one product's story.

Bars go to standard error and only to a terminal; the rest is the result and goes to standard output.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from local.commands.audit import ApiReader, Produced, Shown

#: Of so many products with the longest histories, the oddest one's story is told.
CANDIDATES = 12

#: Lines of a story; a longer one is told from its newest end.
LINES = 16

_METADATA_CHARS = 60


class Told(Shown, frozen=True, gc=False):
    """An event in a product's own answer."""

    voided_by: str | None = None


class Anomaly(msgspec.Struct, frozen=True, gc=False):
    """Something odd about one of them."""

    position: str
    message: str


class Product(msgspec.Struct, frozen=True, gc=False):
    """The answer of `/products/{serial}`; metadata stays the text it is."""

    serial: str
    status: str
    since: str | None
    anomalies: list[Anomaly]
    history: list[Told]
    next: str | None


_product = msgspec.json.Decoder(Product)


@contextlib.contextmanager
def bars(*, is_shown: bool) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Yields a function that adds a bar and returns what to move it with."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    is_drawn = is_shown and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not is_drawn) as progress:

        def bar(description: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(description, total=total)
            return lambda done: progress.update(task, completed=done)

        yield bar


def tell(figures: dict[str, Any], examples: Sequence[str], api_url: str, produced: Produced) -> None:
    """The verdict, the figures and one product's story."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(_figures(figures))
    for example in examples:
        console.print(Text(example, style="red"))
    console.print(_verdict(figures))
    product = _oddest(api_url, produced)
    if product is not None:
        console.print()
        for line in _story(product):
            console.print(line)


def _figures(figures: dict[str, Any]) -> Table:
    latency = figures["latency_ms"]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    rows = (
        ("produced", f"{figures['produced']:,}", f"events of {figures['products']:,} products"),
        ("sent as well", f"{figures['duplicates_sent']:,}", "duplicates"),
        ("", f"{figures['poison_sent']:,}", "poison records"),
        ("queryable", f"{figures['queryable']:,}", "read back through the API, exactly as sent"),
        ("missing", f"{figures['missing']:,}", ""),
        ("unexpected", f"{figures['unexpected']:,}", ""),
        ("quarantined", f"{figures['quarantined']:,}", "poison records, byte for byte"),
        (
            "rate",
            f"{figures['events_per_second']:,}",
            "events a second, from the first sent to the last stored",
        ),
        ("latency", f"{latency['p50'] or 0:,.0f} ms", "half of the events, from accepted to stored"),
        ("", f"{latency['p95'] or 0:,.0f} ms", "95 of 100"),
        ("", f"{latency['p99'] or 0:,.0f} ms", "99 of 100"),
        ("invocations", f"{figures['invocations']:,}", f"{figures['failed_invocations']:,} failed"),
    )
    for row in rows:
        table.add_row(*row)
        if row[0] == "queryable" and (same := figures["produced"] - figures["distinct"]):
            table.add_row("", f"{same:,}", "of the produced say the same as another, and count once")
    return table


def shortcomings(figures: dict[str, Any]) -> list[str]:
    """Return what is not as it should be; empty after a clean run."""
    wrong = [
        f"{figures[name]:,} {words}"
        for name, words in (
            ("missing", "missing"),
            ("unexpected", "unexpected"),
            ("not_quarantined", "poison records not in quarantine"),
            ("wrongly_quarantined", "records in quarantine that should not be"),
            ("rejected", "refused by the stream"),
        )
        if figures[name]
    ]
    return wrong if figures["drained"] else [*wrong, "the pipeline did not come to an end"]


def _verdict(figures: dict[str, Any]) -> Text:
    if wrong := shortcomings(figures):
        return Text("NOT everything is there: " + ", ".join(wrong), style="bold red")
    return Text("Every event is there, exactly as sent, and nothing else.", style="bold green")


def _oddest(api_url: str, produced: Produced) -> Product | None:
    """The product with the most anomalies, among those with the longest histories."""
    longest = sorted(produced.products, key=lambda serial: -len(produced.products[serial]))[:CANDIDATES]
    with contextlib.closing(ApiReader(api_url)) as reader:
        answers = [reader.get(f"{api_url}/products/{quote(serial, safe='')}") for serial in longest]
    products = [_product.decode(body) for status, body in answers if status == 200]
    return max(products, key=lambda product: (len(product.anomalies), len(product.history)), default=None)


def _story(product: Product) -> Iterator[Text]:
    since = f" since {product.since}" if product.since else ""
    yield Text.assemble((product.serial, "bold"), f" is {product.status}{since}")
    odd = {anomaly.position: anomaly.message for anomaly in product.anomalies}
    told = product.history[:LINES]
    if len(told) < len(product.history) or product.next:
        yield Text("  … and what came before", style="dim")
    for event in reversed(told):
        metadata = bytes(event.metadata).decode()
        shown = metadata if len(metadata) <= _METADATA_CHARS else metadata[: _METADATA_CHARS - 1] + "…"
        line = Text(f"  {event.occurred_at[:19].replace('T', ' ')}  {event.type:<20} ")
        line.append(shown, style="dim")
        if event.voided_by is not None:
            line.append("  taken out later", style="yellow")
        yield line
        if event.position in odd:
            yield Text(f"  {'':19}  ! {odd[event.position]}", style="yellow")
