"""When a Kinesis event source mapping invokes, and with which records: batches, window, lanes.

Tests whose docstring begins with "Recorded from AWS" hold what was recorded there; the others hold what the
Lambda developer guide says, or our choice where it says nothing (see
`local/event_sources/shard_state_machine.py`).
"""

from local.event_sources.shard_state_machine import Checkpoint, Invoke, Processed, ShardMachine
from tests.support.shard_machines import (
    ERROR,
    OK,
    checkpoints,
    discards,
    invokes,
    machine_of,
    only_invoke,
    records,
    repeat,
)


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
