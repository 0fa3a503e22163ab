"""What a Kinesis event source mapping does about failures and old records: retries, reports, halving, age.

Tests whose docstring begins with "Recorded from AWS" hold what was recorded there; the others hold what the
Lambda developer guide says, or our choice where it says nothing (see
`local/event_sources/shard_state_machine.py`).
"""

from functools import partial

import pytest

from local.event_sources.batching import StreamRecord
from local.event_sources.shard_state_machine import (
    Bisected,
    Checkpoint,
    Discard,
    Invoke,
    Processed,
    exponential_backoff,
)
from local.sandbox.outcome import Outcome
from tests.support.shard_machines import (
    CRASH,
    ERROR,
    OK,
    THROTTLED,
    TIMEOUT,
    checkpoints,
    discards,
    invokes,
    machine_of,
    only_invoke,
    records,
    repeat,
    reported,
)


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
        machine = machine_of(retry_attempts=5, backoff=partial(exponential_backoff, initial_s=0.5, max_s=1.5))
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
