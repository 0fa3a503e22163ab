"""What a Kinesis event source mapping decides, fact by fact.

Tests whose docstring begins with "Recorded from AWS" hold what was recorded there; the others hold what the
Lambda developer guide says, or our choice where it says nothing (see `local/machine.py`).
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from local.batching import StreamRecord
from local.machine import (
    Bisected,
    Checkpoint,
    Command,
    Discard,
    Invoke,
    Processed,
    ShardMachine,
    exponential_backoff,
    no_backoff,
)
from local.mapping_settings import KinesisSettings
from local.responses import Ending, Outcome

OK = Outcome(Ending.OK, b'{"batchItemFailures": []}', "request")
ERROR = Outcome(Ending.ERROR, b"{}", "request")
TIMEOUT = Outcome(Ending.TIMEOUT, b"{}", "request")
CRASH = Outcome(Ending.CRASH, b"{}", "request")
THROTTLED = Outcome(Ending.UNDELIVERED, b"", "request")


def returned(answer: Any) -> Outcome:
    return Outcome(Ending.OK, json.dumps(answer).encode(), "request")


def reported(*records: StreamRecord) -> Outcome:
    return returned({"batchItemFailures": [{"itemIdentifier": each.sequence_number} for each in records]})


_numbers = itertools.count(49590338271490256608559692538361571095921575989136588898)


def records(count: int, *, key: str = "k", at: float = 0.0, size: int = 100) -> list[StreamRecord]:
    return [StreamRecord(str(next(_numbers)), at, key, b"x" * size) for _ in range(count)]


def machine_of(
    *, backoff: Any = no_backoff, max_event_bytes: int = 6_291_456, **settings: Any
) -> ShardMachine:
    settings = {"partial_responses": True, **settings}
    return ShardMachine(
        KinesisSettings(**settings), now=0.0, backoff=backoff, max_event_bytes=max_event_bytes
    )


def invokes(commands: Sequence[Command]) -> list[Invoke]:
    return [each for each in commands if isinstance(each, Invoke)]


def discards(commands: Sequence[Command]) -> list[Discard]:
    return [each for each in commands if isinstance(each, Discard)]


def checkpoints(commands: Sequence[Command]) -> list[str]:
    return [each.sequence_number for each in commands if isinstance(each, Checkpoint)]


def only_invoke(machine: ShardMachine, now: float = 0.0) -> Invoke:
    (invoke,) = invokes(machine.due(now))
    return invoke


def repeat(machine: ShardMachine, *outcomes: Outcome) -> tuple[list[Invoke], list[Command]]:
    """Answer one invocation after another; the last outcome answers all that follow."""
    made, commands = [], []
    answers = itertools.chain(outcomes, itertools.repeat(outcomes[-1]))
    while pending := invokes(found := machine.due(0.0)):
        commands += found
        (invoke,) = pending
        made.append(invoke)
        commands += machine.finished(invoke.lane, next(answers), 0.0)
        assert len(made) < 1000
    return made, commands


class TestBatches:
    def test_records_read_at_once_are_one_batch_when_the_window_is_zero(self) -> None:
        """Recorded from AWS (test_create_kinesis_event_source_mapping): ten records, batch size 100."""
        machine = machine_of(batch_size=100)
        ten = records(10)
        machine.add(ten, 0.0)

        assert only_invoke(machine) == Invoke(0, ten, 1)

    def test_a_single_record_does_not_wait_for_others_when_the_window_is_zero(self) -> None:
        machine = machine_of(batch_size=100)
        machine.add(one := records(1), 0.0)

        assert only_invoke(machine).records == one

    def test_a_batch_is_cut_at_the_batch_size(self) -> None:
        machine = machine_of(batch_size=3)
        machine.add(seven := records(7), 0.0)

        made, _ = repeat(machine, OK)

        assert [each.records for each in made] == [seven[:3], seven[3:6], seven[6:]]

    def test_the_next_batch_waits_for_the_one_before(self) -> None:
        """Recorded from AWS (..._with_async_invocation): one batch of a shard at a time."""
        machine = machine_of(batch_size=1)
        machine.add(records(2), 0.0)

        first = only_invoke(machine)

        assert machine.due(1000.0) == []
        machine.finished(first.lane, OK, 1000.0)
        assert len(invokes(machine.due(1000.0))) == 1

    def test_an_event_never_weighs_more_than_lambda_takes(self) -> None:
        # {"Records":[ and ]} are 14 bytes, three records of 100 and two commas 302.
        machine = machine_of(batch_size=100, max_event_bytes=316)
        machine.add(seven := records(7), 0.0)

        made, _ = repeat(machine, OK)

        assert [len(each.records) for each in made] == [3, 3, 1]
        assert [record for each in made for record in each.records] == seven

    def test_one_byte_less_and_a_record_has_to_wait(self) -> None:
        machine = machine_of(batch_size=100, max_event_bytes=315)
        machine.add(records(3), 0.0)

        assert len(only_invoke(machine).records) == 2

    def test_a_record_that_fits_no_invocation_is_given_up_without_one(self) -> None:
        machine = machine_of(batch_size=100, max_event_bytes=316)
        before, huge, after = records(1), records(1, size=303), records(1)
        machine.add([*before, *huge, *after], 0.0)

        made, commands = repeat(machine, OK)

        assert [each.records for each in made] == [before, after]
        (discard,) = discards(commands)
        assert (discard.records, discard.outcome, discard.request_id) == (huge, None, None)
        assert checkpoints(commands) == [each.sequence_number for each in (*before, *huge, *after)]


class TestWindow:
    def test_a_batch_waits_for_the_window(self) -> None:
        machine = machine_of(batch_size=10, window_s=5)
        machine.add(records(2), 1.0)

        assert machine.due(4.9) == []
        assert machine.next_wakeup == 5.0
        machine.add(records(1), 4.9)
        assert len(only_invoke(machine, 5.0).records) == 3

    def test_a_full_batch_does_not_wait(self) -> None:
        machine = machine_of(batch_size=3, window_s=300)
        machine.add(records(4), 0.0)

        assert len(only_invoke(machine).records) == 3

    def test_a_batch_that_is_full_by_weight_does_not_wait(self) -> None:
        machine = machine_of(batch_size=100, window_s=300, max_event_bytes=250)
        machine.add(records(3), 0.0)

        assert len(only_invoke(machine).records) == 2

    def test_the_next_window_begins_when_the_invocation_completes(self) -> None:
        machine = machine_of(batch_size=10, window_s=5)
        machine.add(records(1), 0.0)
        first = only_invoke(machine, 5.0)
        machine.add(records(1), 6.0)
        machine.finished(first.lane, OK, 8.0)

        assert machine.due(12.9) == []
        assert machine.next_wakeup == 13.0
        assert len(invokes(machine.due(13.0))) == 1

    def test_no_invocation_happens_without_records(self) -> None:
        machine = machine_of(batch_size=10, window_s=5)

        assert machine.due(1000.0) == []
        assert machine.next_wakeup is None

    def test_a_record_late_in_an_idle_window_waits_for_less_than_a_window(self) -> None:
        machine = machine_of(batch_size=10, window_s=5)
        machine.add(records(1), 12.0)

        assert machine.due(14.9) == []
        assert machine.next_wakeup == 15.0
        assert len(invokes(machine.due(15.0))) == 1

    def test_a_retry_does_not_wait_for_a_window(self) -> None:
        machine = machine_of(batch_size=1, window_s=300)
        machine.add(records(1), 0.0)
        machine.finished(only_invoke(machine).lane, ERROR, 1.0)

        assert len(invokes(machine.due(1.0))) == 1


class TestRetries:
    @pytest.mark.parametrize("attempts", [0, 1, 2, 3])
    def test_n_retries_mean_n_plus_one_invocations_of_the_same_batch(self, attempts: int) -> None:
        """Recorded from AWS: MaximumRetryAttempts 1, 2, 3 gave approximateInvokeCount 2, 3, 4."""
        machine = machine_of(batch_size=10, retry_attempts=attempts)
        machine.add(batch := records(2), 0.0)

        made, commands = repeat(machine, ERROR)

        assert [each.records for each in made] == [batch] * (attempts + 1)
        assert [each.attempt for each in made] == list(range(1, attempts + 2))
        assert discards(commands) == [
            Discard(batch, "RetryAttemptsExhausted", attempts + 1, "request", ERROR)
        ]
        assert checkpoints(commands) == [batch[-1].sequence_number]

    def test_the_shard_goes_on_after_a_batch_was_given_up(self) -> None:
        machine = machine_of(batch_size=1, retry_attempts=1)
        machine.add(two := records(2), 0.0)

        _, commands = repeat(machine, ERROR, ERROR, OK)

        assert [each.records for each in discards(commands)] == [two[:1]]
        assert Processed(two[1:]) in commands

    def test_minus_one_retries_for_ever(self) -> None:
        machine = machine_of(batch_size=10, retry_attempts=-1)
        machine.add(records(1), 0.0)

        made, commands = repeat(machine, *[ERROR] * 500, OK)

        assert len(made) == 501
        assert discards(commands) == []

    @pytest.mark.parametrize("outcome", [ERROR, TIMEOUT, CRASH])
    def test_exceptions_timeouts_and_crashes_count_alike(self, outcome: Outcome) -> None:
        machine = machine_of(retry_attempts=1)
        machine.add(records(1), 0.0)

        made, commands = repeat(machine, outcome)

        assert len(made) == 2
        assert discards(commands)[0].outcome == outcome

    def test_throttles_use_up_no_retries_and_split_nothing(self) -> None:
        machine = machine_of(retry_attempts=1, bisect=True)
        machine.add(batch := records(1), 0.0)

        made, commands = repeat(machine, *[THROTTLED] * 20, ERROR, *[THROTTLED] * 20, ERROR)

        assert len(made) == 42
        assert [each.invoke_count for each in discards(commands)] == [2]
        machine.add(batch := records(4), 0.0)
        made, _ = repeat(machine, THROTTLED, THROTTLED, OK)
        assert [each.records for each in made] == [batch] * 3

    def test_a_failing_batch_waits_for_its_backoff(self) -> None:
        machine = machine_of(retry_attempts=5, backoff=exponential_backoff(0.5, 2.0, 1.5))
        machine.add(records(1), 0.0)

        for at, wait in ((0.0, 0.5), (10.0, 1.0), (20.0, 1.5), (30.0, 1.5)):
            machine.finished(only_invoke(machine, at).lane, ERROR, at)
            assert machine.next_wakeup == at + wait
            assert machine.due(at + wait - 0.01) == []


class TestPartialResponses:
    def test_the_shard_resumes_at_the_reported_record(self) -> None:
        machine = machine_of(batch_size=10)
        machine.add(batch := records(5), 0.0)

        commands = machine.finished(only_invoke(machine).lane, reported(batch[2]), 0.0)

        assert commands == [Processed(batch[:2]), Checkpoint(batch[1].sequence_number)]
        assert only_invoke(machine) == Invoke(0, batch[2:], 1)

    def test_the_lowest_reported_number_counts_as_a_number_not_as_text(self) -> None:
        machine = machine_of(batch_size=10)
        batch = [StreamRecord(number, 0.0, "k", b"x") for number in ("8", "9", "10", "11")]
        machine.add(batch, 0.0)

        machine.finished(only_invoke(machine).lane, reported(batch[3], batch[1], batch[2]), 0.0)

        assert only_invoke(machine).records == batch[1:]

    def test_a_partial_response_that_advances_starts_with_fresh_retries(self) -> None:
        """Recorded from AWS (test_kinesis_report_batch_item_failures), three times: with three retries the
        last record of a batch is delivered five times, and approximateInvokeCount is 4."""
        machine = machine_of(batch_size=10, retry_attempts=3)
        machine.add(batch := records(5), 0.0)

        made, commands = repeat(machine, reported(batch[-1]))

        assert [each.records for each in made] == [batch] + [batch[-1:]] * 4
        (discard,) = discards(commands)
        assert (discard.records, discard.condition, discard.invoke_count) == (
            batch[-1:],
            "RetryAttemptsExhausted",
            4,
        )
        assert discard.outcome is not None
        assert discard.outcome.function_error is None

    def test_a_partial_response_that_names_the_first_record_makes_no_progress(self) -> None:
        machine = machine_of(batch_size=10, retry_attempts=2)
        machine.add(batch := records(3), 0.0)

        made, commands = repeat(machine, reported(batch[0]))

        assert [each.records for each in made] == [batch] * 3
        assert [each.records for each in discards(commands)] == [batch]

    def test_without_the_setting_a_report_is_success(self) -> None:
        machine = machine_of(batch_size=10, partial_responses=False)
        machine.add(batch := records(3), 0.0)

        commands = machine.finished(only_invoke(machine).lane, reported(batch[0]), 0.0)

        assert commands == [Processed(batch), Checkpoint(batch[-1].sequence_number)]

    def test_exhausted_retries_discard_the_whole_remaining_batch(self) -> None:
        """Two bad records, no bisect: the message covers both."""
        machine = machine_of(batch_size=10, retry_attempts=1)
        machine.add(batch := records(4), 0.0)

        _, commands = repeat(machine, reported(batch[2]))

        assert [each.records for each in discards(commands)] == [batch[2:]]


class TestBisect:
    def test_a_poison_pill_is_found_and_the_others_are_processed(self) -> None:
        """The AWS workshop's outcome: nine records, one poison: eight processed, one message with one."""
        machine = machine_of(batch_size=10, retry_attempts=2, bisect=True)
        machine.add(batch := records(9), 0.0)
        poison, processed, given_up = batch[6], [], []

        while pending := invokes(machine.due(0.0)):
            (invoke,) = pending
            outcome = ERROR if poison in invoke.records else OK
            for command in machine.finished(invoke.lane, outcome, 0.0):
                if isinstance(command, Processed):
                    processed += command.records
                elif isinstance(command, Discard):
                    given_up.append(command)

        assert processed == [each for each in batch if each != poison]
        assert given_up == [Discard([poison], "RetryAttemptsExhausted", 3, "request", ERROR)]

    def test_without_bisect_one_poison_pill_takes_the_batch_along(self) -> None:
        """The AWS workshop's outcome: nine records, retries 2: one message with batchSize 9."""
        machine = machine_of(batch_size=10, retry_attempts=2)
        machine.add(batch := records(9), 0.0)

        made, commands = repeat(machine, ERROR)

        assert len(made) == 3
        assert [each.records for each in discards(commands)] == [batch]

    def test_the_older_half_comes_first_and_splitting_uses_up_no_retries(self) -> None:
        machine = machine_of(batch_size=10, retry_attempts=1, bisect=True)
        machine.add(batch := records(4), 0.0)

        made, commands = repeat(machine, ERROR)

        sizes = [(batch.index(each.records[0]), len(each.records)) for each in made]
        assert sizes == [
            (0, 4),
            (0, 2),
            (0, 1),
            (0, 1),
            (1, 1),
            (1, 1),
            (2, 2),
            (2, 1),
            (2, 1),
            (3, 1),
            (3, 1),
        ]
        assert [each.invoke_count for each in discards(commands)] == [2, 2, 2, 2]
        assert [each.batch_size for each in commands if isinstance(each, Bisected)] == [4, 2, 2]

    def test_a_batch_is_split_even_when_no_retry_is_allowed(self) -> None:
        machine = machine_of(batch_size=10, retry_attempts=0, bisect=True)
        machine.add(batch := records(2), 0.0)

        made, commands = repeat(machine, ERROR, ERROR, OK)

        assert [each.records for each in made] == [batch, batch[:1], batch[1:]]
        assert [each.records for each in discards(commands)] == [batch[:1]]

    def test_a_partial_response_splits_at_the_reported_record(self) -> None:
        machine = machine_of(batch_size=10, bisect=True)
        machine.add(batch := records(5), 0.0)

        machine.finished(only_invoke(machine).lane, reported(batch[1]), 0.0)

        assert only_invoke(machine).records == batch[1:]

    def test_a_tail_that_makes_no_progress_is_split_further(self) -> None:
        """With both options on only the bad record is given up, not the tail behind it."""
        machine = machine_of(batch_size=10, retry_attempts=1, bisect=True)
        machine.add(batch := records(6), 0.0)
        given_up = []

        while pending := invokes(machine.due(0.0)):
            (invoke,) = pending
            outcome = reported(batch[3]) if batch[3] in invoke.records else OK
            given_up += discards(machine.finished(invoke.lane, outcome, 0.0))

        assert [each.records for each in given_up] == [batch[3:4]]

    def test_the_next_batch_has_its_full_size_again(self) -> None:
        machine = machine_of(batch_size=4, retry_attempts=0, bisect=True)
        machine.add(eight := records(8), 0.0)

        made, _ = repeat(machine, ERROR, OK, OK, OK)

        assert [each.records for each in made] == [eight[:4], eight[:2], eight[2:4], eight[4:]]


class TestAge:
    def test_only_the_expired_front_of_a_batch_is_given_up(self) -> None:
        """Recorded from AWS (..._discard_records): one expired and five fresh records, batch size 10."""
        machine = machine_of(batch_size=10, record_age_s=60)
        expired, fresh = records(1, at=0.0), records(5, at=100.0)
        machine.add([*expired, *fresh], 100.0)

        commands = machine.due(100.0)

        assert discards(commands) == [Discard(expired, "RecordAgeExceeded", 1, None, None)]
        assert [each.records for each in invokes(commands)] == [fresh]
        assert checkpoints(commands) == [expired[0].sequence_number]

    def test_a_record_too_old_at_first_sight_never_reaches_the_function(self) -> None:
        """Recorded from AWS (...maximum_record_age_exceeded[expire-before-ingestion]): retries 0, a function
        that always fails, and still RecordAgeExceeded."""
        machine = machine_of(batch_size=10, record_age_s=60, retry_attempts=0)
        machine.add(old := records(2, at=0.0), 100.0)

        commands = machine.due(100.0)

        assert invokes(commands) == []
        assert [(each.records, each.condition) for each in discards(commands)] == [(old, "RecordAgeExceeded")]
        assert discards(commands)[0].invoke_count >= 1
        assert machine.is_idle

    def test_age_is_looked_at_between_retries_too(self) -> None:
        """Recorded from AWS (...maximum_record_age_exceeded[expire-while-retrying])."""
        machine = machine_of(batch_size=10, record_age_s=60, backoff=lambda failures: 25.0)
        machine.add(batch := records(1, at=0.0), 0.0)
        made = 0

        for at in (0.0, 25.0, 50.0):
            machine.finished(only_invoke(machine, at).lane, ERROR, at)
            made += 1
        commands = machine.due(75.0)

        assert invokes(commands) == []
        (discard,) = discards(commands)
        assert (discard.records, discard.condition, discard.outcome) == (batch, "RecordAgeExceeded", None)
        assert discard.request_id == "request"
        assert discard.invoke_count >= made

    def test_minus_one_means_no_age_is_too_old(self) -> None:
        machine = machine_of(batch_size=10, record_age_s=-1)
        machine.add(batch := records(1, at=0.0), 1e9)

        assert only_invoke(machine, 1e9).records == batch


class TestLanes:
    def two_keys(self, machine: ShardMachine) -> tuple[str, str]:
        """Keys of different lanes."""
        keys = [f"key-{number}" for number in range(100)]
        lanes = {machine._lane_of(key): key for key in keys}
        return lanes[0], lanes[1]

    def test_a_key_stays_in_its_lane_and_lanes_run_at_the_same_time(self) -> None:
        machine = machine_of(batch_size=10, parallelization_factor=2)
        one, other = self.two_keys(machine)
        first, second = records(2, key=one), records(2, key=other)
        machine.add([first[0], second[0], first[1], second[1]], 0.0)

        made = invokes(machine.due(0.0))

        assert sorted(each.records for each in made) == sorted([first, second])

    def test_a_failing_lane_does_not_hold_up_the_others_but_holds_the_checkpoint(self) -> None:
        machine = machine_of(batch_size=1, parallelization_factor=2)
        one, other = self.two_keys(machine)
        first, stuck, third = records(1, key=other), records(1, key=one), records(1, key=other)
        machine.add([*first, *stuck, *third], 0.0)
        by_key = {each.records[0].partition_key: each for each in invokes(machine.due(0.0))}

        assert checkpoints(machine.finished(by_key[one].lane, ERROR, 0.0)) == []
        assert checkpoints(machine.finished(by_key[other].lane, OK, 0.0)) == [first[0].sequence_number]
        by_key = {each.records[0].partition_key: each for each in invokes(machine.due(0.0))}
        commands = machine.finished(by_key[other].lane, OK, 0.0)

        assert commands == [Processed(third)]  # and no checkpoint behind the stuck record
        commands = machine.finished(by_key[one].lane, OK, 0.0)
        assert commands == [Processed(stuck), Checkpoint(third[0].sequence_number)]

    def test_reading_waits_while_the_function_is_behind(self) -> None:
        machine = machine_of(batch_size=10)
        assert machine.wants_records

        machine.add(records(20), 0.0)

        assert not machine.wants_records
        repeat(machine, OK)
        assert machine.wants_records

    def test_reading_waits_for_few_large_records_too(self) -> None:
        machine = machine_of(batch_size=10_000)

        machine.add(records(7, size=5 * 1024 * 1024), 0.0)

        assert not machine.wants_records
