"""What holds for every shard, every function and every setting of a Kinesis event source mapping.

A shard is simulated: Hypothesis draws the records, the settings, which records fail how often and in which
shape, and in which order what happens at the same time comes to its end.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from hypothesis import given
from hypothesis import strategies as st

from local.event_sources.batching import StreamRecord
from local.event_sources.settings import KinesisSettings
from local.event_sources.shard_state_machine import (
    Checkpoint,
    Command,
    Discard,
    Invoke,
    Processed,
    ShardMachine,
)
from local.sandbox.outcome import Ending, Outcome
from tests.support.shard_machines import no_backoff

#: A record of this weight fits no invocation of the simulated function.
TOO_LARGE = 400
MAX_EVENT_BYTES = 414 - 1


class Shape(Enum):
    """How a function says that it failed on a record."""

    RAISES = "raises"
    TIMES_OUT = "times out"
    CRASHES = "crashes"
    REPORTS_IT = "reports the record"
    REPORTS_ALL_BAD = "reports every bad record of the batch"
    REPORTS_THE_FIRST = "reports the batch's first record"
    REPORTS_NONSENSE = "reports an identifier that is not in the batch"


@dataclass(frozen=True)
class Bad:
    """A record that fails `times` times when it is delivered; None for ever."""

    times: int | None
    shape: Shape


@dataclass
class Run:
    """A simulated shard, and everything that happened on it."""

    settings: KinesisSettings
    records: Sequence[StreamRecord]
    bad: dict[str, Bad]
    invocations: list[tuple[Invoke, Outcome]] = field(default_factory=list)
    settled: list[Processed | Discard] = field(default_factory=list)
    max_in_flight: int = 0
    ended_at: float = 0.0

    def answer(self, invoke: Invoke, deliveries: Counter[str]) -> Outcome:
        failing = [
            record
            for record in invoke.records
            if (bad := self.bad.get(record.sequence_number)) is not None
            and (bad.times is None or deliveries[record.sequence_number] <= bad.times)
        ]
        if not failing:
            return Outcome(Ending.OK, b'{"batchItemFailures": []}', "id")
        shape = self.bad[failing[0].sequence_number].shape
        endings = {
            Shape.RAISES: Ending.ERROR,
            Shape.TIMES_OUT: Ending.TIMEOUT,
            Shape.CRASHES: Ending.CRASH,
        }
        if shape in endings:
            return Outcome(endings[shape], b"{}", "id")
        reported = {
            Shape.REPORTS_IT: [failing[0].sequence_number],
            Shape.REPORTS_ALL_BAD: [each.sequence_number for each in reversed(failing)],
            Shape.REPORTS_THE_FIRST: [invoke.records[0].sequence_number],
            Shape.REPORTS_NONSENSE: ["12345678"],
        }[shape]
        answer = {"batchItemFailures": [{"itemIdentifier": each} for each in reported]}
        return Outcome(Ending.OK, json.dumps(answer).encode(), "id")

    def processed(self) -> list[str]:
        return [
            record.sequence_number
            for command in self.settled
            if isinstance(command, Processed)
            for record in command.records
        ]

    def discards(self) -> list[Discard]:
        return [command for command in self.settled if isinstance(command, Discard)]


shapes = st.sampled_from(Shape)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """A shard run to its end; the checks that need every moment are made on the way."""
    retry_attempts = draw(st.integers(-1, 3))
    settings = KinesisSettings(
        batch_size=draw(st.integers(1, 8)),
        window_s=draw(st.sampled_from([0, 5])),
        parallelization_factor=draw(st.integers(1, 4)),
        retry_attempts=retry_attempts,
        record_age_s=draw(st.sampled_from([-1, 60])),
        bisect=draw(st.booleans()),
        partial_responses=draw(st.booleans()),
    )
    records = [
        StreamRecord(
            str(1000 + number),
            draw(st.sampled_from([-100.0, 0.0, 0.0, 0.0])),
            "key-" + draw(st.sampled_from("abcdef")),
            b"x" * draw(st.sampled_from([50, 50, 50, 90, TOO_LARGE])),
        )
        for number in range(draw(st.integers(1, 20)))
    ]
    for_ever = st.none() if retry_attempts != -1 else st.nothing()
    bad = draw(
        st.dictionaries(
            st.sampled_from([record.sequence_number for record in records]),
            st.builds(Bad, st.integers(1, 6) | for_ever, shapes),
            max_size=6,
        )
    )
    run = Run(settings, records, bad)
    _simulate(draw, run)
    return run


def _simulate(draw: st.DrawFn, run: Run) -> None:
    machine = ShardMachine(run.settings, now=0.0, backoff=no_backoff, max_event_bytes=MAX_EVENT_BYTES)
    unread = list(run.records)
    in_flight: dict[int, Invoke] = {}
    deliveries: Counter[str] = Counter()
    undelivered_left = 3
    checkpoint = 0
    settled: set[str] = set()
    now = 0.0

    def carry_out(commands: Sequence[Command]) -> None:
        nonlocal checkpoint
        for command in commands:
            if isinstance(command, Invoke):
                assert command.lane not in in_flight
                keys = {record.partition_key for record in command.records}
                for other in in_flight.values():
                    assert keys.isdisjoint(record.partition_key for record in other.records)
                in_flight[command.lane] = command
            elif isinstance(command, (Processed, Discard)):
                run.settled.append(command)
                settled.update(record.sequence_number for record in command.records)
            elif isinstance(command, Checkpoint):
                assert int(command.sequence_number) > checkpoint
                checkpoint = int(command.sequence_number)
                for record in run.records:
                    if int(record.sequence_number) <= checkpoint:
                        assert record.sequence_number in settled
        run.max_in_flight = max(run.max_in_flight, len(in_flight))

    for _ in range(3000):
        carry_out(machine.due(now))
        if unread and machine.wants_records and (not in_flight or draw(st.booleans())):
            count = draw(st.integers(1, len(unread)))
            machine.add(unread[:count], now)
            del unread[:count]
        elif in_flight:
            invoke = in_flight.pop(draw(st.sampled_from(sorted(in_flight))))
            if undelivered_left and draw(st.integers(0, 9)) == 9:
                undelivered_left -= 1
                outcome = Outcome(Ending.UNDELIVERED, b"", "id")
            else:
                deliveries.update(record.sequence_number for record in invoke.records)
                outcome = run.answer(invoke, deliveries)
            run.invocations.append((invoke, outcome))
            carry_out(machine.finished(invoke.lane, outcome, now))
        elif unread:
            now += 1.0  # reading waits for the function, which waits for its window
        elif machine.next_wakeup is not None:
            now = max(now, machine.next_wakeup)
        else:
            break
    run.ended_at = now
    assert machine.is_idle, "every record finds its end"
    assert checkpoint == int(run.records[-1].sequence_number)


@given(runs())
def test_every_record_ends_exactly_once_as_processed_or_in_a_discarded_batch(run: Run) -> None:
    ends = Counter(run.processed())
    for discard in run.discards():
        ends.update(record.sequence_number for record in discard.records)

    assert ends == Counter(record.sequence_number for record in run.records)


@given(runs())
def test_what_counts_as_processed_was_delivered_and_did_not_fail_there(run: Run) -> None:
    succeeded = set()
    for invoke, outcome in run.invocations:
        numbers = [record.sequence_number for record in invoke.records]
        if outcome.ending is not Ending.OK:
            continue
        if not run.settings.partial_responses or outcome.payload == b'{"batchItemFailures": []}':
            succeeded.update(numbers)
            continue
        reported = [each["itemIdentifier"] for each in json.loads(outcome.payload)["batchItemFailures"]]
        if set(reported) <= set(numbers):
            succeeded.update(numbers[: min(map(numbers.index, reported))])

    assert set(run.processed()) <= succeeded


@given(runs())
def test_no_more_run_at_once_than_the_parallelization_factor(run: Run) -> None:
    assert run.max_in_flight <= run.settings.parallelization_factor


@given(runs())
def test_a_keys_records_are_first_delivered_in_order(run: Run) -> None:
    first_seen: dict[str, list[int]] = defaultdict(list)
    seen = set()
    for invoke, _ in run.invocations:
        for record in invoke.records:
            if record.sequence_number not in seen:
                seen.add(record.sequence_number)
                first_seen[record.partition_key].append(int(record.sequence_number))

    for numbers in first_seen.values():
        assert numbers == sorted(numbers)


@given(runs())
def test_no_batch_is_larger_than_allowed(run: Run) -> None:
    for invoke, _ in run.invocations:
        event = b'{"Records":[' + b",".join(record.entry for record in invoke.records) + b"]}"
        assert 1 <= len(invoke.records) <= run.settings.batch_size
        assert len(event) <= MAX_EVENT_BYTES


@given(runs())
def test_a_batch_is_tried_once_and_then_as_often_as_retries_allow(run: Run) -> None:
    tries: Counter[tuple[str, ...]] = Counter()
    for invoke, outcome in run.invocations:
        if outcome.ending is not Ending.UNDELIVERED:
            tries[tuple(record.sequence_number for record in invoke.records)] += 1
    retries = run.settings.retry_attempts

    if retries != -1:
        assert all(count <= retries + 1 for count in tries.values())
    for discard in run.discards():
        numbers = tuple(record.sequence_number for record in discard.records)
        if discard.condition == "RetryAttemptsExhausted":
            assert retries != -1
            assert discard.invoke_count == tries[numbers] == retries + 1
            assert discard.outcome is not None
            assert len(numbers) == 1 or not run.settings.bisect
        else:
            assert discard.outcome is None


@given(runs())
def test_only_what_is_too_old_or_too_large_is_given_up_for_that(run: Run) -> None:
    for discard in run.discards():
        if discard.condition == "RecordAgeExceeded":
            assert all(run.ended_at - record.arrived_at > 60 for record in discard.records)
        if discard.condition == "RecordTooLarge":
            assert [len(record.entry) for record in discard.records] == [TOO_LARGE]


@given(runs())
def test_with_bisect_a_function_that_raises_on_some_records_loses_only_those(run: Run) -> None:
    settings = run.settings
    raising = {Shape.RAISES, Shape.TIMES_OUT, Shape.CRASHES}
    if not settings.bisect or any(bad.shape not in raising for bad in run.bad.values()):
        return

    for discard in run.discards():
        if discard.condition == "RetryAttemptsExhausted":
            (record,) = discard.records
            assert record.sequence_number in run.bad
