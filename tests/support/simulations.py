"""Runs of the simulated pipeline, without chance and without limits."""

import math
import random
from dataclasses import replace

from ops.planning.simulation.engine import simulate
from ops.planning.simulation.scenario import OfferedLoad, Result, Settings

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


def ran(settings: Settings, load: OfferedLoad, seed: int = 1) -> Result:
    return simulate(settings, load, random.Random(seed))
