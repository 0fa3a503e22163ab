"""The dashboard that `serve` shows on a terminal, drawn again a few times a second.

It reads counters that the mappings keep anyway and lines that the functions write anyway
(local/observers), and asks the endpoint every few seconds how many messages and open cases wait.  Without a
terminal serve.py prints plain lines instead.
"""

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chalicelib import settings, wiring
from chalicelib.errors import LifecycleError
from local.aws import client
from local.event_sources.queues import messages_waiting, queue_url
from local.observers.function_logs import FunctionLogs, LogTotals
from local.observers.gauges import LATE_MS, Gauges, Rates, Totals, percentiles
from local.pipeline import Pipeline

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: How often the picture is drawn, and how often the endpoint is asked what waits.
DRAW_S, ASK_S = 0.25, 3.0

#: Open cases are counted up to here: more than a person looks through.
MAX_COUNTED = 1000


class Backlog(NamedTuple):
    """Messages and open cases that wait; None where the endpoint did not answer."""

    dead_letters: int | None = None
    parked: int | None = None
    quarantined: int | None = None


class BacklogProbe:
    """Asks the endpoint for the backlog, every ASK_S seconds at most."""

    def __init__(self) -> None:
        self._sqs: SQSClient = client("sqs")
        self._asked_at = float("-inf")
        self._backlog = Backlog()

    def backlog(self, now: float) -> Backlog:
        """Return the backlog as of the last few seconds."""
        if now - self._asked_at >= ASK_S:
            self._asked_at = now
            try:
                self._backlog = Backlog(
                    self._messages(settings.dead_letter_queue()),
                    self._messages(settings.parking_queue()),
                    sum(1 for _ in islice(wiring.quarantine().ids("open"), MAX_COUNTED)),
                )
            except (BotoCoreError, ClientError, LifecycleError):
                self._backlog = Backlog()  # shown as not known; the mappings say more about why
        return self._backlog

    def _messages(self, queue: str) -> int:
        return messages_waiting(self._sqs, queue_url(self._sqs, queue))


def show(
    running: Pipeline,
    gauges: Gauges,
    logs: Path,
    console: Console,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Draw until interrupted.  Does not return.  Raises EndpointError when the endpoint is gone."""
    probe, lines, rates = BacklogProbe(), FunctionLogs(logs), Rates()
    began = clock()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            running.endpoint.check()
            now = clock()
            lines.look(now)
            read = sum(shard.read for shard in gauges.shards().values())
            rates.add(now, Totals(read, lines.totals.stored, lines.totals.requests))
            picture = draw(gauges, lines.totals, rates.per_second(), probe.backlog(now), now)
            live.update(Group(_head(running, now - began), picture), refresh=True)
            sleep(DRAW_S)


def draw(
    gauges: Gauges, logged: LogTotals, rates: tuple[float, ...], backlog: Backlog, now: float
) -> RenderableType:
    """Return the picture, without its first line."""
    counts, (mean, largest) = gauges.counts(), gauges.batch_sizes()
    shards = gauges.shards()
    read_rate, stored_rate, request_rate = rates
    stored_p50, stored_p99 = percentiles(logged.latencies_ms, now)
    request_p50, request_p99 = percentiles(logged.request_ms, now)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    for _ in range(2):
        facts.add_column(justify="right")
    facts.add_column(style="dim")
    read = sum(shard.read for shard in shards.values())
    failed = _loud(counts.failed_invocations, "failed")
    for row in (
        ("in", f"{read:,}", f"{read_rate:,.0f}/s", "records from the stream"),
        (
            "stored",
            f"{logged.stored:,}",
            f"{stored_rate:,.0f}/s",
            f"events; {logged.duplicates:,} duplicates",
        ),
        ("to stored", _ms(stored_p50), _ms(stored_p99), "p50, p99 of the last minute, from arrival"),
        ("batches", f"{counts.invocations:,}", f"ø {mean:,.0f}", f"largest {largest:,}, {failed}"),
        ("", f"{counts.retries:,}", "", f"retried, {_loud(counts.bisects, 'bisected')}"),
        ("throttled", f"{logged.throttled_requests:,}", "", "requests to DynamoDB, sent again"),
        ("dead letters", _waits(backlog.dead_letters), "", f"wait, {_waits(backlog.parked)} parked"),
        ("", f"{logged.triaged:,}", "", f"triaged, {_loud(logged.expired, 'records expired')}"),
        ("quarantine", _waits(backlog.quarantined), "", f"open, {logged.quarantined:,} since the start"),
        (
            *("API", f"{logged.requests:,}", f"{request_rate:,.1f}/s"),
            f"requests, {_loud(logged.failed_requests, 'failed')}",
        ),
        ("", _ms(request_p50), _ms(request_p99), "p50, p99 of the last minute"),
    ):
        facts.add_row(*row)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("shard")
    for name in ("in", "in hand", "iterator age", "batches", "last batch", ""):
        table.add_column(name, justify="right")
    for name, shard in shards.items():
        age_ms = shard.age_ms(now)
        age = Text("" if age_ms is None else _ms(age_ms))
        if age_ms is not None and age_ms >= LATE_MS:
            age.stylize("yellow")
        in_hand = Text(f"{shard.read - shard.done:,}")
        table.add_row(
            *(
                name.removeprefix("shardId-").lstrip("0") or "0",
                f"{shard.read:,}",
                in_hand,
                age,
                f"{shard.batches:,}",
                f"{shard.batch_size:,}",
            ),
            f"{max(0.0, now - shard.last_at):,.0f} s ago" if shard.batches else "",
        )
    return Group(facts, "", table)


def _head(running: Pipeline, seconds: float) -> Text:
    minutes, rest = divmod(int(seconds), 60)
    return Text(f"\n{running.api_url}   up {minutes}:{rest:02}   stop with Ctrl-C\n", style="dim")


def _loud(count: int, what: str) -> str:
    return f"[not dim yellow]{count:,} {what}[/]" if count else f"0 {what}"


def _waits(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count:,}+" if count == MAX_COUNTED else f"{count:,}"


def _ms(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:,.0f} ms" if milliseconds < LATE_MS else f"{milliseconds / 1000:,.1f} s"
