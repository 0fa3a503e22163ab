"""Units, shards and bytes of a load, exact."""

import statistics
from datetime import datetime, timezone

import msgspec
import pytest
from aws_kinesis_agg.aggregator import RecordAggregator

from chalicelib.domain import events
from chalicelib.tables import items
from ops.planning import capacity
from producer.lives import lives


@pytest.mark.parametrize(("size", "units"), [(1, 1), (25_600, 1), (25_601, 2), (51_200, 2), (1_048_576, 41)])
def test_payload_units_are_25_kb_each(size: int, units: int) -> None:
    assert capacity.put_units(size) == units


@pytest.mark.parametrize(("event", "units"), [(300, 1), (972, 1), (973, 2), (1996, 2), (1997, 3)])
def test_write_units_are_of_the_item_which_is_larger_than_the_event(event: int, units: int) -> None:
    assert capacity.write_units(event) == units


def test_what_an_item_weighs_more_than_its_event_is_what_real_ones_weigh() -> None:
    differences = []
    for data in lives(500, 50, 7, datetime(2026, 11, 20, tzinfo=timezone.utc)):
        item = items.to_item(events.decode(data), 1_795_000_000_000)
        fields: dict[str, dict[str, str]] = msgspec.to_builtins(item)
        size = sum(len(name) + value_bytes(value) for name, value in fields.items())
        differences.append(size - len(data))

    assert statistics.median(differences) == capacity.ITEM_OVERHEAD_BYTES


def value_bytes(value: dict[str, str]) -> int:
    """As DynamoDB counts: UTF-8 of a string; of a number a byte for two digits, and one."""
    return len(value["S"].encode()) if "S" in value else (len(value["N"]) + 1) // 2 + 1


@pytest.mark.parametrize("size", [200, 300, 972, 5000])
def test_aggregated_records_are_as_large_as_the_library_makes_them(size: int) -> None:
    packing = capacity.aggregated(size)
    aggregator = RecordAggregator()
    for number in range(packing.events_per_record):
        assert aggregator.add_user_record(f"SN-{number:08d}", b"x" * size) is None
    key, _, data = aggregator.clear_and_get().get_contents()

    assert len(key) + len(data) == pytest.approx(packing.record_bytes, rel=0.01)
    assert packing.record_bytes <= capacity.PUT_UNIT_BYTES


def test_an_event_too_large_for_company_goes_alone() -> None:
    assert capacity.aggregated(20_000) == capacity.one_by_one(20_000)


@pytest.mark.parametrize(
    ("events_s", "size", "shards"),
    [
        (833, 972, 1),  # 999.6 with headroom
        (834, 972, 2),  # 1,000.8
        (100, 8_727, 1),  # 100 x 8,738 x 1.2 = 1,048,560 of 1,048,576 bytes
        (100, 8_728, 2),
    ],
)
def test_shards_are_counted_by_records_and_by_bytes_with_a_fifth_left_free(
    events_s: int, size: int, shards: int
) -> None:
    assert capacity.shards_for(events_s, capacity.one_by_one(size)) == shards


def test_a_batch_ends_at_lambdas_limit_of_six_megabytes() -> None:
    assert capacity.records_per_invocation(500, 1_000) == 500
    assert capacity.records_per_invocation(500, 24_881) == 6 * 1_048_576 // (33_176 + 532)
