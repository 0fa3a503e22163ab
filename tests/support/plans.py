"""Random loads, plans for them, and a planned pipeline as a simulation runs it."""

import math
import random
from dataclasses import replace

from ops.planning import capacity
from ops.planning.capacity import records_held
from ops.planning.simulate import SAVED_S, handler_times
from ops.planning.simulation.engine import simulate
from ops.planning.simulation.scenario import OfferedLoad, Result, Settings
from ops.planning.sizing import MEMORY_MB, ON_DEMAND, PROVISIONED, Alternative, Design, MonthlyLoad

#: What one run may cost.
MAX_BYTES = 20_000_000_000


def load(rng: random.Random) -> MonthlyLoad:
    """Any size of event, any burst that is simulated within a second, any time for it."""
    event_bytes = _between(rng, 100, capacity.MAX_EVENT_BYTES)
    burst = min(_between(rng, 1, 100_000), MAX_BYTES // event_bytes)
    within_s = _between(rng, 20, 6_000) / 10
    return MonthlyLoad(event_bytes=event_bytes, burst=burst, within_s=within_s, events_per_month=burst)


def alternative(rng: random.Random) -> Alternative:
    """Any one."""
    modes = (ON_DEMAND, PROVISIONED)
    return Alternative(rng.choice(modes), rng.random() < 0.5, rng.choice(modes), rng.choice(MEMORY_MB))


def ran(load: MonthlyLoad, design: Design, seed: int) -> Result:
    """The load's burst from as many producers as it takes, through the pipeline that was planned."""
    handler_s, record_s = handler_times(design.alternative.memory_mb)
    settings = Settings(
        shards=design.shards,
        batch_size=design.alternative.batch_size,
        parallelization=design.parallelization,
        handler_s=handler_s,
        record_s=record_s,
        cold_start_s=capacity.COLD_START_S,
        write_units_s=design.write_units_s,
        saved_s=SAVED_S if design.alternative.table == PROVISIONED else 1.0,
    )
    is_aggregated = design.alternative.is_aggregated
    fitting = capacity.aggregated(load.event_bytes).events_per_record if is_aggregated else 1
    burst = OfferedLoad(burst=load.burst, event_bytes=load.event_bytes, events_per_record=max(1, fitting))
    producers = _producers(burst, load.within_s, design.shards)
    return simulate(settings, replace(burst, producers=producers), random.Random(seed))


def _producers(burst: OfferedLoad, within_s: float, shards: int) -> int:
    """Twice as fast as is asked for, and what they hold is half a second's worth of the shards, or more."""
    shards_s = shards * capacity.shard_records_s(capacity.packed(burst.event_bytes, burst.events_per_record))
    held = records_held(burst.record_bytes)
    by_rate = math.ceil(2 * burst.burst_records / within_s / burst.producers_s)
    return max(1, by_rate, math.ceil(0.5 * shards_s / held))


def _between(rng: random.Random, least: float, most: float) -> int:
    """Small ones as often as large ones."""
    return round(math.exp(rng.uniform(math.log(least), math.log(most))))
