"""The dashboard: what it draws."""

import io

from rich.console import Console

from local.commands import dashboard
from local.commands.dashboard import Backlog
from local.commands.serve import _late
from local.observers.function_logs import LogTotals
from local.observers.gauges import Gauges
from tests.support.invocations import an_invocation

NOW = 1_795_205_567.0
SHARD = "shardId-000000000001"


def drawn(gauges: Gauges, lines: LogTotals, waiting: Backlog, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(dashboard.draw(gauges, lines, (10.0, 9.0, 0.5), waiting, NOW))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(" ".join(line.split()) for line in console.file.getvalue().splitlines())


def test_a_shard_shows_what_is_in_hand_and_how_late_it_is() -> None:
    gauges = Gauges()

    gauges.read(SHARD, 150, NOW - 30)
    gauges.read(SHARD, 150, NOW - 12.3)
    gauges.invoked(an_invocation(iterator_age_ms=50.0, started_at=NOW - 1))
    gauges.processed(SHARD, ["1"] * 180, NOW)
    gauges.discarded(SHARD, ["2"] * 20, "RetryAttemptsExhausted")

    shown = drawn(gauges, LogTotals(), Backlog(0, 0, 0)).splitlines()[-1].split()
    assert shown == ["1", "300", "100", "12.3", "s", "1", "200", "0", "s", "ago"]


def test_a_shard_that_the_function_does_not_get_done_gets_later_before_any_batch_has_ended() -> None:
    gauges = Gauges()

    gauges.read(SHARD, 300, NOW - 12.3)

    shown = drawn(gauges, LogTotals(), Backlog(0, 0, 0)).splitlines()[-1].split()
    assert shown == ["1", "300", "300", "12.3", "s", "0", "0"]


def test_retries_bisects_and_batch_sizes_are_shown() -> None:
    gauges = Gauges()
    gauges.read(SHARD, 300, NOW)
    for attempt, size, outcome in ((1, 200, "error"), (2, 100, "ok"), (2, 30, "ok")):
        gauges.invoked(an_invocation(attempt=attempt, batch_size=size, outcome=outcome))
    gauges.bisected(SHARD, 200)

    shown = drawn(gauges, LogTotals(), Backlog(0, 0, 0))

    assert "batches 3 ø 110 largest 200, 1 failed" in shown
    assert "\n2 retried, 1 bisected" in shown


def test_what_waits_is_shown_and_what_nobody_knows_is_a_question_mark() -> None:
    known = drawn(Gauges(), LogTotals(), Backlog(3, 2, dashboard.MAX_COUNTED))
    unknown = drawn(Gauges(), LogTotals(), Backlog())

    assert "dead letters 3 wait, 2 parked" in known
    assert "quarantine 1,000+ open" in known
    assert "dead letters ? wait, ? parked" in unknown


def test_the_picture_fits_a_terminal_of_eighty_columns() -> None:
    gauges, lines = Gauges(), LogTotals(stored=12_345_678, duplicates=1_234_567, quarantined=123_456)
    for number in range(4):
        gauges.read(f"shardId-{number:012}", 12_345_678, NOW - 3600)
        gauges.invoked(
            an_invocation(f"shardId-{number:012}", iterator_age_ms=3_600_000.0, started_at=NOW - 1)
        )

    narrow = drawn(gauges, lines, Backlog(1000, 1000, 1000))

    assert narrow == drawn(gauges, lines, Backlog(1000, 1000, 1000), width=200)


def test_without_a_terminal_a_line_says_what_the_function_does_not_get_done() -> None:
    gauges = Gauges()
    gauges.read(SHARD, 300, NOW - 12)
    gauges.read("shardId-000000000002", 40, NOW - 3)
    gauges.processed(SHARD, ["1"] * 100, NOW)

    assert _late(gauges, NOW) == "; 240 in hand, the oldest for 12 s"
    assert _late(gauges, NOW - 3) == ""  # nothing is late yet
