"""What `serve` shows on a terminal: a picture of the pipeline that is drawn again a few times a second.

The only place that draws while `serve` runs.  It reads counters that the mappings keep anyway and the lines
that the functions write anyway (gauges.py), and asks the endpoint how many messages and open cases wait
every few seconds.  Without a terminal serve.py prints plain lines instead.
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
from local.observers.gauges import LATE_MS, Gauges, Lines, Logs, Rates, Totals, percentiles
from local.pipeline import Pipeline

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: How often the picture is drawn, and how often the endpoint is asked what waits.
DRAW_S, ASK_S = 0.25, 3.0

#: Open cases are counted up to here: more is more than a person looks through.
MOST_COUNTED = 1000


class Waiting(NamedTuple):
    """What waits on the endpoint; None where it did not answer."""

    dead_letters: int | None = None
    parked: int | None = None
    quarantined: int | None = None


class Endpoint:
    """Asks the endpoint what waits, now and then."""

    def __init__(self) -> None:
        self._sqs: SQSClient = client("sqs")
        self._urls: dict[str, str] = {}
        self._asked_at = float("-inf")
        self._waiting = Waiting()

    def waiting(self, now: float) -> Waiting:
        """What waits, as of the last few seconds."""
        if now - self._asked_at >= ASK_S:
            self._asked_at = now
            try:
                self._waiting = Waiting(
                    self._messages(settings.dead_letter_queue()),
                    self._messages(settings.parking_queue()),
                    sum(1 for _ in islice(wiring.quarantine().ids("open"), MOST_COUNTED)),
                )
            except (BotoCoreError, ClientError, LifecycleError):
                self._waiting = Waiting()  # shown as not known; the mappings say more about why
        return self._waiting

    def _messages(self, queue: str) -> int:
        if queue not in self._urls:
            self._urls[queue] = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found = self._sqs.get_queue_attributes(
            QueueUrl=self._urls[queue],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return sum(int(count) for count in found["Attributes"].values())


def show(
    running: Pipeline,
    gauges: Gauges,
    logs: Path,
    console: Console,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Draw until interrupted.  Does not return.  Raises EndpointError when the endpoint is gone."""
    endpoint, lines, rates = Endpoint(), Logs(logs), Rates()
    began = clock()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            running.endpoint.check()
            now = clock()
            lines.look(now)
            read = sum(shard.read for shard in gauges.shards().values())
            rates.add(now, Totals(read, lines.lines.stored, lines.lines.requests))
            picture = draw(gauges, lines.lines, rates.a_second(), endpoint.waiting(now), now)
            live.update(Group(_head(running, now - began), picture), refresh=True)
            sleep(DRAW_S)


def draw(
    gauges: Gauges, lines: Lines, a_second: tuple[float, ...], waiting: Waiting, now: float
) -> RenderableType:
    """The picture, without its first line."""
    counts, (retries, mean, largest) = gauges.counts(), gauges.batches()
    shards = gauges.shards()
    read_rate, stored_rate, request_rate = a_second
    stored_p50, stored_p99 = percentiles(lines.latencies_ms, now)
    request_p50, request_p99 = percentiles(lines.request_ms, now)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    for _ in range(2):
        facts.add_column(justify="right")
    facts.add_column(style="dim")
    read = sum(shard.read for shard in shards.values())
    failed = _loud(counts.failed_invocations, "failed")
    for row in (
        ("in", f"{read:,}", f"{read_rate:,.0f}/s", "records from the stream"),
        ("stored", f"{lines.stored:,}", f"{stored_rate:,.0f}/s", f"events; {lines.duplicates:,} duplicates"),
        ("to stored", _ms(stored_p50), _ms(stored_p99), "p50, p99 of the last minute, from arrival"),
        ("batches", f"{counts.invocations:,}", f"ø {mean:,.0f}", f"largest {largest:,}, {failed}"),
        ("", f"{retries:,}", "", f"retried, {_loud(counts.bisects, 'bisected')}"),
        ("throttled", f"{lines.throttled_requests:,}", "", "requests to DynamoDB, sent again"),
        ("dead letters", _waits(waiting.dead_letters), "", f"wait, {_waits(waiting.parked)} parked"),
        ("", f"{lines.triaged:,}", "", f"triaged, {_loud(lines.expired, 'records expired')}"),
        ("quarantine", _waits(waiting.quarantined), "", f"open, {lines.quarantined:,} since the start"),
        (
            *("API", f"{lines.requests:,}", f"{request_rate:,.1f}/s"),
            f"requests, {_loud(lines.failed_requests, 'failed')}",
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
    return f"{count:,}+" if count == MOST_COUNTED else f"{count:,}"


def _ms(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:,.0f} ms" if milliseconds < LATE_MS else f"{milliseconds / 1000:,.1f} s"
