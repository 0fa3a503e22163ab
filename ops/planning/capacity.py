"""What a load takes: shards, units, bytes, invocations.  Arithmetic only.

The only place that knows AWS's units and limits as numbers.  KB, MB and GB are powers of 1,024, as the
Kinesis pricing page says of its KB.  Where a figure is a choice or was measured here, its comment says so.
"""

import math
from dataclasses import dataclass

from ops.planning.simulation.producer import BACKOFF_LIMIT_S, records_held

KB = 1024
MB = 1024 * KB
GB = 1024 * MB

HOURS_PER_MONTH = 730  # AWS's own convention in its calculators
SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600

# A shard (Kinesis developer guide, "Quotas and limits").
SHARD_IN_RECORDS_S = 1000
SHARD_IN_BYTES_S = MB
SHARD_OUT_BYTES_S = 2 * MB
SHARD_READS_S = 5

#: A shard, and a table on demand, take in so many seconds' worth at once after a pause.  As far as is known:
#: local shards and the simulation do the same.
AT_ONCE_S = 1.0

#: A new on-demand stream takes 4 MB or 4,000 records a second, as four shards would (same page).
ON_DEMAND_SHARDS = 4

# What an account gets in a Region unless it asks for more, read in 2026-11.
QUOTA_CONCURRENCY = 1000  # Lambda developer guide, "Lambda quotas"; a new account starts with fewer
QUOTA_SHARDS = 20_000  # provisioned streams together (Kinesis developer guide, "Quotas and limits")
QUOTA_SHARDS_ELSEWHERE = 1000  # or 6,000 (same page)
REGIONS_OF_MORE_SHARDS = ("us-east-1", "us-west-2", "eu-west-1")
QUOTA_TABLE_UNITS_S = 40_000  # writes of a table in either mode (DynamoDB developer guide, "Quotas")
QUOTA_ACCOUNT_UNITS_S = 80_000  # writes of provisioned tables together (same page)

#: What is left free so that uneven keys and growth do not throttle at once.
HEADROOM = 0.2

#: A record's data is billed in payload units (Kinesis pricing page).
PUT_UNIT_BYTES = 25 * KB

#: What a stored item weighs more than the event on the wire: the position replaces punctuation.  Median
#: of generated events, DynamoDB's rules of size; single events differ by a few bytes.
ITEM_OVERHEAD_BYTES = 52

#: An item at most (DynamoDB developer guide, "Quotas"), and so an event: any larger one ends in quarantine.
MAX_ITEM_BYTES = 400 * KB
MAX_EVENT_BYTES = MAX_ITEM_BYTES - ITEM_OVERHEAD_BYTES

#: What DynamoDB stores beside an item, for the bill of storage (developer guide, "Table size").
STORAGE_OVERHEAD_BYTES = 100

#: Our producer's partition key is the serial; generated ones have this many bytes.
KEY_BYTES = 11

#: The KPL's frame: magic, checksum and explicit fields of an aggregated record; and what an event in it adds
#: beside its data, its partition key included (kinesis-aggregation, aggregation-format.md).
AGGREGATE_FRAME_BYTES = 20
AGGREGATE_EVENT_BYTES = KEY_BYTES + 10

#: A new on-demand table (DynamoDB developer guide, "Warm throughput").
NEW_TABLE_WRITE_UNITS_S = 4000

#: CPU grows with memory and reaches one core here (Lambda developer guide, "Configure memory").
ONE_CPU_MB = 1769

# What the handler takes, measured on one core of a laptop: CPU of an invocation, CPU of a record in it.
HANDLER_CPU_S = 0.0025
RECORD_CPU_S = 0.00008

#: One BatchWriteItem on AWS, and how many events go through at a time: 8 requests of 25.  An assumption.
WRITE_LATENCY_S = 0.01
WRITES_AT_ONCE = 200

#: What a new sandbox takes before its first invocation.  Measured on a laptop; AWS is of that order.
COLD_START_S = 0.8

#: Our producer gives records up when what one of them holds takes the shards longer than the first, and they
#: refuse for longer than the second.  Found by simulating random plans.
HELD_S, REFUSING_S = 1.0, 75.0

#: How often Lambda reads a shard (Lambda developer guide, "Using Lambda with Kinesis").
POLL_S = 1.0

#: An invocation's payload: at most, and what a record adds beside its data in base64 (Lambda developer guide,
#: "Lambda quotas"; the record's metadata as in the guide's example).
MAX_PAYLOAD_BYTES = 6 * MB
EVENT_RECORD_BYTES = 532

#: Parallelization factor: at most (CreateEventSourceMapping).
MAX_PARALLELIZATION = 10

#: Log bytes of an invocation: our line with its metrics (1,000 bytes for a small batch) and
#: Lambda's START, END and REPORT.
LOG_BYTES = 1500

#: Five pollers that wait 20 s each (Lambda developer guide, "Using Lambda with Amazon SQS").
QUEUE_POLLS_S = 5 / 20


@dataclass(frozen=True, slots=True)
class Aggregation:
    """How events go into records."""

    events_per_record: int
    record_bytes: int  # data and partition key


def one_by_one(event_bytes: int) -> Aggregation:
    """A record per event."""
    return Aggregation(1, event_bytes + KEY_BYTES)


def packed(event_bytes: int, events_per_record: int) -> Aggregation:
    """So many events to a record; one goes without a frame."""
    if events_per_record < 2:
        return one_by_one(event_bytes)
    frame = AGGREGATE_FRAME_BYTES + KEY_BYTES
    return Aggregation(events_per_record, frame + events_per_record * (event_bytes + AGGREGATE_EVENT_BYTES))


def aggregated(event_bytes: int, at_most: int | None = None) -> Aggregation:
    """As many events as fit into one payload unit, or `at_most`; one too large for company goes alone."""
    frame = AGGREGATE_FRAME_BYTES + KEY_BYTES
    fitting = (PUT_UNIT_BYTES - frame) // (event_bytes + AGGREGATE_EVENT_BYTES)
    return packed(event_bytes, fitting if at_most is None else min(fitting, at_most))


def quota_shards(region: str) -> int:
    """Shards that an account may have there; where AWS names two figures, the smaller one."""
    return QUOTA_SHARDS if region in REGIONS_OF_MORE_SHARDS else QUOTA_SHARDS_ELSEWHERE


def item_bytes(event_bytes: int) -> int:
    """What DynamoDB counts for an event."""
    return event_bytes + ITEM_OVERHEAD_BYTES


def write_units(event_bytes: int) -> int:
    """Write units of one event: one a started KB; the table has no index."""
    return math.ceil(item_bytes(event_bytes) / KB)


def put_units(record_bytes: int) -> int:
    """PUT payload units of one record."""
    return math.ceil(record_bytes / PUT_UNIT_BYTES)


def rounded_to_kb(record_bytes: int) -> int:
    """Bytes that on-demand bills for one record: each is rounded up to 1 KB."""
    return math.ceil(record_bytes / KB) * KB


def records(events: float, aggregation: Aggregation) -> float:
    """Records that carry so many events (or records a second, given events a second)."""
    return events / aggregation.events_per_record


def shards_for(
    events_s: float, aggregation: Aggregation, headroom: float = HEADROOM, room_s: float = math.inf
) -> int:
    """Shards that take so many events a second for so long, by records and by bytes, with headroom.

    Records are whole: a shard may get one more than its share, and needs one at once where it takes less.
    """
    records_s = records(events_s, aggregation) * (1 + headroom)
    shard_s = max(shard_records_s(aggregation) - 1 / room_s, 1 / room_s)
    return max(1, math.ceil(records_s / shard_s))


def shard_records_s(aggregation: Aggregation) -> float:
    """Records a second that one shard takes in, by number and by bytes."""
    return min(SHARD_IN_RECORDS_S, SHARD_IN_BYTES_S / aggregation.record_bytes)


def shard_events_s(aggregation: Aggregation) -> float:
    """Events a second that one shard takes in."""
    return shard_records_s(aggregation) * aggregation.events_per_record


def records_per_invocation(batch_size: int, record_bytes: int) -> int:
    """Records in a full batch: the batch size, unless Lambda's limit for an event comes first."""
    encoded = math.ceil(record_bytes / 3) * 4 + EVENT_RECORD_BYTES
    return max(1, min(batch_size, MAX_PAYLOAD_BYTES // encoded))


def handler_s(events: float, memory_mb: int) -> float:
    """Seconds that an invocation takes: CPU at this memory, and waiting for DynamoDB."""
    slower = max(1.0, ONE_CPU_MB / memory_mb)
    waits = math.ceil(events / WRITES_AT_ONCE)
    return (HANDLER_CPU_S + events * RECORD_CPU_S) * slower + waits * WRITE_LATENCY_S


def lane_events_s(batch_events: float, memory_mb: int) -> float:
    """Events a second that one invocation after the other stores, with full batches."""
    return batch_events / handler_s(batch_events, memory_mb)


def parallelization_for(events_s: float, shards: int, lane_s: float, headroom: float = HEADROOM) -> int:
    """The smallest parallelization factor that keeps up; may exceed what Lambda allows."""
    return max(1, math.ceil(events_s * (1 + headroom) / (shards * lane_s)))


def let_in_after_s(even_s: float) -> float:
    """Seconds until a shard or table has let in what takes it so long at an even rate.

    A second's worth comes in at once.  What is refused pauses longer each time, up to twice as long as it has
    been tried and, where many draw, three times, but no longer than our producer does (whose longest pause
    exceeds the handler's).
    """
    refused_s = max(0.0, even_s - AT_ONCE_S)
    return refused_s + min(3 * refused_s, BACKOFF_LIMIT_S)


def room_s(left_s: float) -> float:
    """In how many seconds, with headroom, an even rate has to let a burst in for it to be in by `left_s`.

    The inverse of `let_in_after_s`, except that pauses may use up half the headroom, as uneven keys may.
    """
    refused_s = max(left_s / 4, left_s - BACKOFF_LIMIT_S)
    return min(left_s + AT_ONCE_S, (refused_s + AT_ONCE_S) * (1 + HEADROOM / 2))


def is_given_up(burst: int, aggregation: Aggregation, shards: int) -> bool:
    """Whether shards refuse a burst that is put as fast as possible until producers give records up."""
    shards_s = shards * shard_records_s(aggregation)
    in_records = records(burst, aggregation)
    held = min(in_records, records_held(aggregation.record_bytes))
    return held / shards_s > HELD_S and in_records / shards_s > REFUSING_S


def invocations_per_second(
    events_s: float, aggregation: Aggregation, lanes: int, batch_size: int, window_s: float = 0.0
) -> float:
    """Invocations a second under an even load.

    A lane is looked at once a second, or once a window; it invokes when something has come since.  Arrivals
    are taken as Poisson, so nothing has come with probability e^-expected.
    """
    interval_s = max(POLL_S, window_s)
    expected = records(events_s, aggregation) / lanes * interval_s
    return lanes * max(-math.expm1(-expected), expected / batch_size) / interval_s


def traces_per_second(invocations_s: float) -> float:
    """X-Ray traces under its default rule: one a second and 5 % of the rest."""
    return min(1.0, invocations_s) + 0.05 * max(0.0, invocations_s - 1.0)


def read_units(events: int, event_bytes: int) -> float:
    """Read units of one eventually consistent Query over so many events: half a unit a started 4 KB."""
    return math.ceil(events * item_bytes(event_bytes) / (4 * KB)) / 2
