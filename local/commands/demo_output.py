"""What `demo` shows a person: bars while it runs, a table, the verdict, and one product's story.

Bars go to standard error and only to a terminal; the rest is the result and goes to standard output.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from chalicelib import wiring
from chalicelib.api import views
from chalicelib.api.views import ProductView
from chalicelib.errors import ProductNotFoundError
from local.commands.audit import Produced

#: Of so many products with the longest histories, the oddest one's story is told.
CANDIDATES = 12

#: Lines of a story; a longer one is told from its newest end.
LINES = 16

_METADATA_CHARS = 60


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


def tell(figures: dict[str, Any], examples: Sequence[str], produced: Produced) -> None:
    """Print the figures, the verdict and one product's story."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(_figures(figures))
    for example in examples:
        console.print(Text(example, style="red"))
    console.print(_verdict(figures))
    product = _oddest(produced)
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


def _oddest(produced: Produced) -> ProductView | None:
    """Return the product with the most anomalies, among those with the longest histories."""
    longest = sorted(produced.products, key=lambda serial: -len(produced.products[serial]))[:CANDIDATES]
    history, now = wiring.history_for_reading(), datetime.now(timezone.utc)
    found = []
    for serial in longest:
        with contextlib.suppress(ProductNotFoundError):  # it is missing, and the verdict says so
            found.append(views.product(history, serial, now))
    return max(found, key=lambda view: (len(view.reading.anomalies), len(view.events)), default=None)


def _story(product: ProductView) -> Iterator[Text]:
    since = f" since {product.status.since}" if product.status.since else ""
    yield Text.assemble((product.serial, "bold"), f" is {product.status.status}{since}")
    odd = {anomaly.position: anomaly.message for anomaly in product.reading.anomalies}
    told = product.events[:LINES]
    if len(told) < len(product.events) or product.following:
        yield Text("  … and what came before", style="dim")
    for event in reversed(told):
        line = Text(f"  {event.occurred_at[:19].replace('T', ' ')}  {event.type:<20} ")
        metadata = event.metadata
        is_long = len(metadata) > _METADATA_CHARS
        line.append(metadata[: _METADATA_CHARS - 1] + "…" if is_long else metadata, style="dim")
        if event.position in product.reading.voided:
            line.append("  taken out later", style="yellow")
        yield line
        if event.position in odd:
            yield Text(f"  {'':19}  ! {odd[event.position]}", style="yellow")
