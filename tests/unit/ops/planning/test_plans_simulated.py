"""What is planned is stored in time when it is simulated: random loads, events of every size."""

import math
import random

import pytest

from ops.planning import sizing
from ops.planning.sizing import ON_DEMAND, PROVISIONED, Alternative, MonthlyLoad
from tests.support import plans

PLANS = 40


@pytest.mark.parametrize("seed", range(8))
def test_what_is_planned_is_stored_in_time(seed: int) -> None:
    rng = random.Random(seed)
    in_time = 0
    for _ in range(PLANS):
        load = plans.load(rng)
        design = sizing.design(load, plans.alternative(rng))
        if not design.is_enough or any("pace" in remark for remark in design.remarks):
            continue
        result = plans.ran(load, design, seed)
        assert result.stored == result.events >= load.burst, (load, design)
        assert result.drained_s <= load.within_s, (load, design)
        in_time += 1

    assert in_time > PLANS / 2


def test_a_producer_that_would_give_up_is_to_be_paced_and_only_that_one() -> None:
    large = MonthlyLoad(burst=1_900, event_bytes=78_000, within_s=193, events_per_month=10_240)
    design = sizing.design(large, Alternative(PROVISIONED, False, PROVISIONED, 512))

    assert design.is_enough
    [told] = design.remarks
    assert told.startswith("pace the producers to 11 records a second (--rate)")
    assert plans.ran(large, design, seed=1).rejected > 0
    assert not sizing.design(MonthlyLoad(), Alternative(PROVISIONED, True, PROVISIONED, 512)).remarks


def test_a_provisioned_table_takes_whole_records_of_many_events_in_time() -> None:
    rare = MonthlyLoad(burst=1_433, event_bytes=139, within_s=585, events_per_month=1_433)
    design = sizing.design(rare, Alternative(ON_DEMAND, True, PROVISIONED, 512))
    result = plans.ran(rare, design, seed=1)

    assert design.write_units_s == math.ceil(4 * 159 / 30)
    assert result.stored == result.events


def test_a_provisioned_table_has_the_units_of_one_event_at_once() -> None:
    rare = MonthlyLoad(burst=1, event_bytes=400_000, within_s=600, events_per_month=1)

    assert sizing.design(rare, Alternative(PROVISIONED, False, PROVISIONED, 512)).write_units_s == 391
