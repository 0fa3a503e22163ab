"""Alternatives sized for a load: in time, or with the reason why not; and none needs more for less."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.planning import plan, sizing
from ops.planning.sizing import ON_DEMAND, PROVISIONED, Alternative, MonthlyLoad
from tests.support.billing import FIRST_S, SECONDS, US_EAST_1


def test_the_cheapest_that_meets_the_target_stands_first() -> None:
    compared = plan.compare(MonthlyLoad(burst=400_000), US_EAST_1).priced
    totals = [(not each.design.is_enough, each.usd) for each in compared]

    assert totals == sorted(totals)
    assert compared[0].design.is_enough
    assert not compared[-1].design.is_enough, "a new on-demand stream cannot take 6,667 a second"


def test_a_burst_that_a_new_table_cannot_take_asks_for_warm_throughput() -> None:
    design = sizing.design(MonthlyLoad(burst=1_000_000), Alternative(PROVISIONED, False, ON_DEMAND, 1024))

    # (1,000,000 / 59.0967 + 7.61) x 1.2, rounded up: 60 s without the first batch's, with the one at once.
    assert design.write_units_s == math.ceil((1e6 / (61 - FIRST_S) + 20_000_000 / SECONDS) * 1.2) == 20_315
    assert design.remarks[0].startswith("set the table's warm throughput to these write units a second")
    assert design.is_enough


@given(st.sampled_from(list(sizing.alternatives())), st.integers(1_000, 10**7), st.integers(1, 3600))
def test_a_sized_design_stores_the_burst_in_time_or_says_why_not(
    choice: Alternative, burst: int, within_s: int
) -> None:
    design = sizing.design(MonthlyLoad(burst=burst, within_s=within_s), choice)

    assert design.is_enough == (not design.shortcomings)
    if design.is_enough:
        assert design.drain_s <= within_s


@given(
    st.sampled_from([each for each in sizing.alternatives() if each.stream == PROVISIONED]).filter(
        lambda choice: choice.memory_mb > 512
    )
)
def test_a_provisioned_stream_stores_a_burst_in_any_time_from_two_and_a_half_seconds(
    choice: Alternative,
) -> None:
    for within_s in (2.5, 3, 4, 5, 6, 6.3, 7, 8, 10, 15, 20, 30, 60):
        design = sizing.design(MonthlyLoad(within_s=within_s), choice)

        assert design.is_enough
        assert design.drain_s <= within_s


def test_more_time_never_needs_more() -> None:
    choice = Alternative(PROVISIONED, False, PROVISIONED, 1024)
    designs = [sizing.design(MonthlyLoad(within_s=tenths / 10), choice) for tenths in range(20, 900)]

    assert all(design.is_enough for design in designs)
    for less, more in itertools.pairwise(designs):
        assert (more.shards, more.write_units_s) <= (less.shards, less.write_units_s)


@pytest.mark.parametrize("within_s", [1.5, 0.0001])
@pytest.mark.parametrize("stream", [ON_DEMAND, PROVISIONED])
def test_where_the_first_batch_alone_takes_longer_nothing_else_is_advised(
    stream: str, within_s: float
) -> None:
    design = sizing.design(MonthlyLoad(within_s=within_s), Alternative(stream, False, ON_DEMAND, 1024))

    assert design.shortcomings == ("reading and storing the first batch alone take 1.9 s",)


def test_what_an_account_does_not_have_by_default_is_said() -> None:
    def beyond(burst: int, region: str = "us-east-1", mode: str = PROVISIONED) -> list[str]:
        plan = sizing.design(MonthlyLoad(burst=burst), Alternative(mode, False, mode, 1024))
        told = sizing.beyond_quotas(plan, region)
        return [re.findall("default, (.*): have", each)[0] for each in told]

    assert beyond(100_000) == []
    assert beyond(3_000_000) == ["40,000 write units a second of a table"]
    assert beyond(3_000_000, mode=ON_DEMAND) == ["40,000 write units a second of a table"]
    assert beyond(60_000_000) == [
        "1,000 concurrent executions",
        "40,000 write units a second of a table",
        "80,000 provisioned write units a second of all tables",
    ]
    assert "1,000 shards" in beyond(60_000_000, region="eu-central-1")
    assert "20,000 shards" in beyond(1_200_000_000)


def test_events_too_large_for_company_are_not_compared_twice() -> None:
    assert len(list(sizing.alternatives_for(MonthlyLoad(event_bytes=972)))) == 24
    assert not any(each.is_aggregated for each in sizing.alternatives_for(MonthlyLoad(event_bytes=20_000)))


def test_a_burst_smaller_than_a_batch_does_not_wait_for_a_full_one() -> None:
    slow = Alternative(PROVISIONED, False, ON_DEMAND, 512)

    assert not sizing.design(MonthlyLoad(burst=10_000, within_s=1.9), slow).is_enough
    assert sizing.design(MonthlyLoad(burst=10, within_s=1.9), slow).is_enough
