"""`ops simulate`: nothing is lost, rules of the real parts hold, and answers move the right way."""

import argparse
import json
import math
import random
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chalicelib.storage import LONGEST_PAUSE_S
from ops import simulate as command
from ops import simulated_producer, svg
from ops.output import CommandError
from ops.scenario import Load, Result, Settings, divided
from ops.simulated import Chunk, Inlet, Queue, Table
from ops.simulated_figures import Histogram, Timeline
from ops.simulation import simulate
from producer import putter

#: A handler without chance, as fast as the deployed one.
STEADY = Settings(handler_s=0.0135, record_s=0.0002, jitter=0.0, cold_start_s=0.0)

#: No limits but the function's.
UNLIMITED = replace(
    STEADY,
    shard_records_s=math.inf,
    shard_in_bytes_s=math.inf,
    shard_out_bytes_s=math.inf,
    shard_reads_s=math.inf,
    write_units_s=math.inf,
    poll_s=0.01,
)


def ran(settings: Settings, load: Load, seed: int = 1) -> Result:
    return simulate(settings, load, random.Random(seed))


pipelines = st.builds(
    Settings,
    shards=st.integers(1, 6),
    batch_size=st.integers(1, 1000),
    parallelization=st.integers(1, 10),
    window_s=st.sampled_from([0.0, 0.5, 5.0]),
    retry_attempts=st.integers(0, 3),
    handler_s=st.floats(0, 0.5),
    record_s=st.floats(0, 0.001),
    jitter=st.floats(0, 0.5),
    cold_start_s=st.floats(0, 2),
    timeout_s=st.floats(2, 60),
    failing=st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    concurrency=st.integers(1, 20),
    write_units_s=st.floats(50, 10_000),
    saved_s=st.sampled_from([1.0, 300.0]),
)
loads = st.builds(
    Load,
    events_s=st.floats(0, 200),
    seconds=st.floats(0, 30),
    burst=st.integers(0, 5_000),
    burst_at=st.floats(0, 20),
    event_bytes=st.integers(1, 3_000),
    keys=st.one_of(st.none(), st.integers(1, 500)),
)


@given(pipelines, loads, st.integers())
@hypothesis_settings(deadline=None)
def test_every_event_ends_stored_rejected_or_as_a_dead_letter(
    pipeline: Settings, load: Load, seed: int
) -> None:
    result = ran(pipeline, load, seed)

    assert result.stored + result.rejected + result.dead_lettered == load.events
    assert sum(moment.stored for moment in result.timeline) == result.stored
    assert sum(moment.invocations for moment in result.timeline) == result.invocations
    assert result.concurrency <= min(pipeline.concurrency, pipeline.shards * pipeline.parallelization)
    assert result == ran(pipeline, load, seed), "the same seed gives the same run"


# --- answers move the right way ----------------------------------------------------------------------------


# Two runs draw different numbers.  Where shards refuse nothing, that moves polls and odd records.
def not_later(result: Result, than: Result) -> bool:
    return result.drained_s <= than.drained_s * 1.02 + 0.1


bursts = st.builds(Load, burst=st.integers(5_000, 40_000))


@given(bursts, st.integers(1, 6), st.integers(1, 6))
@hypothesis_settings(deadline=None, max_examples=25)
def test_more_shards_store_a_burst_no_later(load: Load, shards: int, more: int) -> None:
    few = ran(replace(STEADY, shards=shards), load)
    many = ran(replace(STEADY, shards=shards + more), load)

    # The last refused record may have drawn the longest pause.
    assert many.drained_s <= few.drained_s * 1.02 + simulated_producer.BACKOFF_LIMIT_S
    assert many.put_throttles <= few.put_throttles * 1.1 + 1_000


@given(bursts, st.integers(1, 9), st.integers(1, 5))
@hypothesis_settings(deadline=None, max_examples=25)
def test_more_lanes_store_a_burst_no_later(load: Load, lanes: int, more: int) -> None:
    slow = replace(UNLIMITED, record_s=0.002)  # 500 a second and lane

    assert not_later(
        ran(replace(slow, parallelization=min(10, lanes + more)), load),
        ran(replace(slow, parallelization=lanes), load),
    )


@given(bursts, st.integers(10, 500), st.integers(2, 10))
@hypothesis_settings(deadline=None, max_examples=25)
def test_larger_batches_store_a_burst_no_later_and_in_fewer_invocations(
    load: Load, size: int, times: int
) -> None:
    small = ran(replace(UNLIMITED, batch_size=size, handler_s=0.1), load)
    large = ran(replace(UNLIMITED, batch_size=size * times, handler_s=0.1), load)

    assert not_later(large, small)
    assert large.invocations <= small.invocations * 1.02 + 4


@given(bursts, st.floats(200, 4_000), st.floats(1.1, 10))
@hypothesis_settings(deadline=None, max_examples=25)
def test_a_table_that_takes_less_is_done_later_and_throttles(
    load: Load, units_s: float, times: float
) -> None:
    tight = ran(replace(UNLIMITED, write_units_s=units_s), load)
    ample = ran(replace(UNLIMITED, write_units_s=units_s * times), load)

    # The last refused write may have drawn the longest pause.
    assert ample.drained_s <= tight.drained_s * 1.02 + LONGEST_PAUSE_S
    # A second's worth is saved up; the rest cannot be written faster than that.
    assert tight.drained_s >= (load.burst - units_s) / units_s - 0.01


def test_throttling_shows_in_the_iterator_age() -> None:
    load = Load(burst=40_000)
    free, throttled = ran(STEADY, load), ran(replace(STEADY, write_units_s=500), load)

    assert throttled.write_throttles > free.write_throttles
    assert throttled.iterator_age_s > free.iterator_age_s + 10


# --- figures that can be said in advance -------------------------------------------------------------------


def test_a_burst_on_one_unlimited_shard_takes_its_invocations_one_after_the_other() -> None:
    result = ran(
        replace(UNLIMITED, shards=1, batch_size=100, handler_s=0.1, record_s=0.001), Load(burst=1_000)
    )

    # Ten batches of 0.2 s, after 0.04 s for the request and a poll.
    assert result.invocations == 10
    assert 2.04 <= result.drained_s <= 2.04 + 0.01 + 1e-6
    assert result.lambda_s == pytest.approx(2.0)


def test_two_lanes_halve_that() -> None:
    pipeline = replace(UNLIMITED, shards=1, batch_size=100, handler_s=0.1, record_s=0.001, parallelization=2)

    assert ran(pipeline, Load(burst=1_000)).drained_s == pytest.approx(1.04, abs=0.02)


def test_a_shard_takes_a_thousand_records_a_second_and_refuses_the_rest() -> None:
    result = ran(replace(STEADY, shards=1), Load(burst=10_000))

    assert result.put_throttles > 1_000
    assert result.drained_s > 9.0  # a second's worth may come at once
    assert result.rejected == 0


def test_a_shard_takes_a_megabyte_a_second_of_larger_records() -> None:
    result = ran(replace(STEADY, shards=1, write_units_s=math.inf), Load(burst=1_000, event_bytes=10_000))

    # 1,000 x 10,011 bytes are 9.55 MiB, of which one may come at once.
    assert result.drained_s > 8.5


def test_a_batching_window_makes_fewer_invocations_and_older_records() -> None:
    flow = Load(events_s=20, seconds=300)
    at_once, windowed = ran(STEADY, flow), ran(replace(STEADY, window_s=5.0), flow)

    assert at_once.invocations == pytest.approx(4 * 300, rel=0.02)  # a poll a second and shard
    assert windowed.invocations < at_once.invocations / 3
    assert windowed.iterator_age_s < 7
    p50 = windowed.latency_s["p50"], at_once.latency_s["p50"]
    assert p50[0] is not None
    assert p50[1] is not None
    assert p50[0] > p50[1]


def test_the_next_window_begins_when_an_invocation_ends() -> None:
    slow = replace(UNLIMITED, handler_s=2.0, window_s=5.0, batch_size=10_000, poll_s=1.0)
    result = ran(slow, Load(events_s=20, seconds=350))

    assert result.invocations <= 4 * 350 / 7 + 8


def test_a_shard_is_not_read_on_while_its_function_is_behind() -> None:
    slow = replace(UNLIMITED, shards=1, handler_s=5.0, poll_s=1.0)
    result = ran(slow, Load(events_s=500, seconds=100))

    assert result.reads < 50, "a hundred seconds' worth takes five hundred to store"


def test_a_burst_in_an_even_flow_is_stored_long_before_the_flow_ends() -> None:
    result = ran(replace(STEADY, shards=8), Load(events_s=50, seconds=120, burst=20_000, burst_at=20))

    assert result.burst_stored_s is not None
    assert result.burst_stored_s < 30
    assert 119 < result.drained_s < 123


def test_what_cannot_be_written_in_time_is_reported_and_written_later() -> None:
    result = ran(replace(STEADY, timeout_s=5.0, write_units_s=100), Load(burst=2_000))

    assert result.partial_invocations > 0
    assert result.stored == 2_000


def test_a_crash_halves_the_batch_and_loses_nothing() -> None:
    result = ran(replace(STEADY, failing=0.2), Load(burst=5_000))

    assert result.failed_invocations > 0
    assert result.stored == 5_000


def test_a_record_that_crashes_every_time_ends_as_a_dead_letter() -> None:
    result = ran(replace(STEADY, failing=0.9, retry_attempts=0, batch_size=1), Load(burst=200))

    assert result.dead_lettered > 100
    assert result.stored + result.dead_lettered == 200


def test_an_invocation_past_its_timeout_is_ended_and_nothing_of_it_stored() -> None:
    slow = replace(UNLIMITED, shards=1, handler_s=70.0, timeout_s=60.0, retry_attempts=2)
    result = ran(slow, Load(burst=4))

    # Halved to single records, each tried three times: a batch of four, two of two, twelve of one.
    assert result.stored == 0
    assert result.dead_lettered == 4
    assert result.invocations == result.failed_invocations == result.timed_out_invocations == 1 + 2 + 12
    assert result.lambda_s == pytest.approx(15 * 60.0)


def test_a_batch_too_large_for_the_timeout_is_halved_until_it_is_not() -> None:
    slow = replace(UNLIMITED, shards=1, batch_size=400, record_s=0.2, handler_s=0.0, timeout_s=60.0)
    result = ran(slow, Load(burst=400))

    assert result.timed_out_invocations == 1, "400 take 80 s"
    assert result.invocations == 3
    assert result.stored == 400
    assert 60 + 80 < result.drained_s < 60 + 80 + 1


def test_the_start_of_a_sandbox_is_not_part_of_the_timeout() -> None:
    result = ran(replace(UNLIMITED, handler_s=4.0, cold_start_s=3.0, timeout_s=5.0), Load(burst=100))

    assert result.timed_out_invocations == 0
    assert result.stored == 100


def test_a_burst_late_in_the_day_costs_no_reads_before_it() -> None:
    result = ran(STEADY, Load(burst=100, burst_at=1_000_000.0))

    assert result.reads < 100
    assert result.burst_stored_s is not None
    assert result.burst_stored_s < 3


def test_lanes_beyond_the_concurrency_wait_their_turn() -> None:
    pipeline = replace(UNLIMITED, shards=8, handler_s=0.2)
    capped = ran(replace(pipeline, concurrency=2), Load(burst=20_000))

    assert capped.concurrency == 2
    assert capped.concurrency_throttles > 0
    assert capped.drained_s > ran(pipeline, Load(burst=20_000)).drained_s * 3


def test_a_sandbox_starts_once() -> None:
    result = ran(replace(UNLIMITED, shards=3, cold_start_s=0.7), Load(burst=9_000))

    assert result.cold_starts == 3
    assert result.latency_s["p50"] is not None
    assert 0.7 < result.drained_s < 3


def test_a_table_that_saves_unused_units_takes_a_burst_at_once() -> None:
    load = Load(burst=20_000)

    assert ran(replace(STEADY, write_units_s=100, saved_s=300), load).drained_s < 15
    assert ran(replace(STEADY, write_units_s=100, saved_s=1), load).drained_s > 190


def test_a_minute_of_a_billion_events_a_day_is_simulated_batch_by_batch() -> None:
    pipeline = replace(STEADY, shards=14, write_units_s=20_000)
    result = ran(pipeline, Load(events_s=1e9 / 86_400, seconds=60))

    assert result.events == 694_444
    # 827 records a second and shard, read once a second: two invocations each.
    assert result.invocations == pytest.approx(14 * 60 * 2, rel=0.05)
    assert result.iterator_age_s < 2


def test_keys_on_one_shard_wait_for_each_other() -> None:
    even, one_key = ran(STEADY, Load(burst=10_000)), ran(STEADY, Load(burst=10_000, keys=1))

    assert one_key.drained_s > even.drained_s * 2


@pytest.mark.parametrize(
    "wrong",
    [{"shards": 0}, {"poll_s": 0.0}, {"write_units_s": 0.0}, {"failing": 1.0}, {"write_units_s": math.nan}],
)
def test_a_pipeline_that_could_never_finish_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="|".join(wrong)):
        Settings(**wrong)  # type: ignore[arg-type]  # an int or a float, by name


# --- parts -------------------------------------------------------------------------------------------------


def test_the_simulated_producer_has_the_numbers_of_the_real_one() -> None:
    for name in ("MAX_RECORDS", "IN_FLIGHT", "ATTEMPTS", "BACKOFF_S", "BACKOFF_LIMIT_S"):
        assert getattr(simulated_producer, name) == getattr(putter, name), name


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 80)), max_size=20))
def test_a_queue_gives_back_what_it_was_given_in_order(steps: list[tuple[int, int]]) -> None:
    queue, at = Queue(), 0.0
    put = taken = 0
    latest = 0.0
    for records, wanted in steps:
        queue.put(Chunk(records, at, at + 1))
        at += 1
        put += records
        for chunk in queue.take(wanted):
            assert latest - 1e-9 <= chunk.first_at <= chunk.last_at
            latest = chunk.last_at
            taken += chunk.records
        assert queue.count == put - taken


@given(
    st.floats(0, 5_000),
    st.floats(0, 20),
    st.floats(10, 2_000),
    st.lists(st.floats(0.001, 5), min_size=1, max_size=30),
)
def test_a_shard_never_takes_in_more_than_its_limit_and_in_the_end_everything(
    flow_s: float, seconds: float, limit_s: float, pauses: list[float]
) -> None:
    total = round(flow_s * seconds)
    inlet = Inlet(flow_s, seconds, total, limit_s)
    now, came = 0.0, 0
    for pause in pauses:
        now += pause
        chunk = inlet.until(now)
        if chunk is not None:
            came += chunk.records
            assert chunk.first_at <= chunk.last_at <= now
        assert came <= limit_s * (now + 1) + 1
        assert came <= total
    chunk = inlet.until(now + seconds + total / limit_s + 10)
    assert came + (chunk.records if chunk else 0) == total
    assert inlet.is_drained


def test_a_shard_that_was_idle_takes_what_one_second_allows_and_no_more() -> None:
    inlet = Inlet(0.0, 0.0, 0, 100)

    assert inlet.offer(250, 60.0) == 100
    assert inlet.offer(250, 60.5) == 50


@given(st.integers(0, 10_000), st.lists(st.integers(0, 50), min_size=1).filter(any))
def test_parts_add_up_to_the_whole(total: int, weights: list[int]) -> None:
    parts = divided(total, weights)

    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1


def test_a_table_gives_so_many_units_a_second_and_what_it_saved() -> None:
    table = Table(100, saved_s=1)

    assert table.take(250, 0.0) == 100
    assert table.take(250, 0.5) == 50
    assert table.take(250, 60.0) == 100, "no more than a second's worth is saved"


def test_a_timeline_keeps_its_sums_when_it_runs_out_of_room() -> None:
    timeline = Timeline(size=8, width_s=1.0)
    for second in range(100):
        timeline.add(second, stored=1, age_s=second)

    moments = timeline.moments()
    assert len(moments) <= 8
    assert sum(moment.stored for moment in moments) == 100
    assert all(moment.iterator_age_s == min(99, moment.at - 1) for moment in moments)


def test_percentiles_are_within_a_tenth() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 1001):
        histogram.add(milliseconds / 1000, 1)

    assert histogram.percentile(50) == pytest.approx(0.5, rel=0.11)
    assert histogram.percentile(99) == pytest.approx(0.99, rel=0.11)
    assert Histogram().percentile(50) is None


@given(st.floats(0, 1e12))
def test_ticks_are_round_and_reach_the_largest_value(largest: float) -> None:
    marks = svg.ticks(largest)

    assert marks[0] == 0
    assert marks[-1] >= largest * (1 - 1e-9)
    assert 2 <= len(marks) <= 8


# --- the command -------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m ops")
    command.add(top.add_subparsers(required=True))
    return top


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    args = parser().parse_args(["simulate", *argv])
    code: int = args.run(args)
    answer = capsys.readouterr()
    return code, answer.out, answer.err


def test_the_examples_of_the_help_are_commands_that_exist() -> None:
    commands = re.findall(r"^  python -m ops (.+)$", command.EXAMPLES, re.MULTILINE)

    assert len(commands) >= 3
    for line in commands:
        parser().parse_args(line.split())


def test_json_has_the_figures_and_the_course_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--burst", "20000", "--json")
    answer = json.loads(out)

    assert code == 0
    assert answer["stored"] == 20_000
    assert answer["settings"]["batch_size"] == 500
    assert answer["backlog"][-1][1] == 0
    assert len(answer["timeline"]) == len(answer["backlog"])


def test_the_table_shows_figures_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--events-a-day", "864000", "--hours", "0.02")

    assert code == 0
    assert re.search(r"stored +720\b", out)
    assert "iterator age" in out
    assert "the burst" not in out


def test_a_burst_that_is_not_stored_in_time_is_a_failed_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--burst", "20000", "--write-units", "500", "--within", "10")

    assert code == 1
    assert "not in time" in err


def test_the_function_is_the_deployed_one(capsys: pytest.CaptureFixture[str]) -> None:
    from app import app
    from local import mapping_settings

    deployed = mapping_settings.for_kinesis(app, "process_lifecycle")
    settings = json.loads(run(capsys, "--burst", "10", "--json")[1])["settings"]

    assert settings["timeout_s"] == deployed.timeout_s
    assert settings["retry_attempts"] == deployed.retry_attempts
    assert settings["parallelization"] == deployed.parallelization_factor
    assert settings["batch_size"] == deployed.batch_size


def test_a_handler_slower_than_its_timeout_is_a_failed_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--burst", "40", "--handler-ms", "70000", "--retries", "0")

    assert code == 1
    assert re.search(r"ended by the timeout +7\d\b", out)
    assert re.search(r"dead letters +40\b", out)
    assert run(capsys, "--burst", "40", "--handler-ms", "70000", "--timeout", "90")[0] == 0


def test_hours_of_no_flow_are_refused() -> None:
    args = parser().parse_args(["simulate", "--hours", "3"])

    with pytest.raises(CommandError, match="--events-a-day") as caught:
        args.run(args)

    assert caught.value.exit_code == 2


def test_the_plot_is_a_picture_of_every_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.svg"
    run(capsys, "--burst", "5000", "--svg", str(file))
    root = ElementTree.parse(file).getroot()
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")

    assert len(lines) == 4
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= svg.WIDTH
            assert 0 <= y <= 4 * svg.PANEL_HEIGHT + 40


def test_a_plot_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    args = parser().parse_args(["simulate", "--burst", "10", "--svg", str(tmp_path / "no" / "run.svg")])

    with pytest.raises(CommandError, match="No such file") as caught:
        args.run(args)

    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "argv",
    [
        ["--burst", "0"],
        ["--shards", "x"],
        ["--failing", "1"],
        ["--parallelization", "11"],
        ["--write-units", "nan"],
        ["--burst-at", "1e12"],
        ["--products", "1000000000000"],
        ["--bytes", "1048576"],
        ["--burst", "9" * 5000],
    ],
)
def test_a_bad_number_is_a_usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["simulate", *argv])

    assert caught.value.code == 2
