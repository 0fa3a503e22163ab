"""AWS's units and limits as numbers, and the shards, units, bytes and invocations that a load takes.

Arithmetic only.  KB, MB and GB are powers of 1,024, as the Kinesis pricing page says of its KB.  Where a
figure is a choice or was measured here, its comment says so.
"""

import math
from dataclasses import dataclass

from producer.limits import BACKOFF_LIMIT_S, MAX_RECORDS, MAX_REQUEST_BYTES, READ_AHEAD_BYTES

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

#: Seconds' worth of writes that a shard, and a table on demand, take at once after a pause.  As far as is
#: known: local shards and the simulation do the same.
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

#: Share of a capacity left free, so that uneven keys and growth do not throttle at once.
HEADROOM = 0.2

#: A record's data is billed in payload units (Kinesis pricing page).
PUT_UNIT_BYTES = 25 * KB

#: Bytes that a stored item has more than the event on the wire: the position replaces punctuation.  Median
#: of generated events, by DynamoDB's rules of size; single events differ by a few bytes.
ITEM_OVERHEAD_BYTES = 52

#: The largest item (DynamoDB developer guide, "Quotas"), and so event: a larger one ends in quarantine.
MAX_ITEM_BYTES = 400 * KB
MAX_EVENT_BYTES = MAX_ITEM_BYTES - ITEM_OVERHEAD_BYTES

#: Bytes that DynamoDB stores beside an item, for the bill of storage (developer guide, "Table size").
STORAGE_OVERHEAD_BYTES = 100

#: Our producer's partition key is the serial; generated ones have this many bytes.
KEY_BYTES = 11

#: The KPL's frame: magic, checksum and explicit fields of an aggregated record; and the bytes that an event
#: in it adds to its data, its partition key included (kinesis-aggregation, aggregation-format.md).
AGGREGATE_FRAME_BYTES = 20
AGGREGATE_EVENT_BYTES = KEY_BYTES + 10

#: A new on-demand table (DynamoDB developer guide, "Warm throughput").
NEW_TABLE_WRITE_UNITS_S = 4000

#: CPU grows with memory and reaches one core here (Lambda developer guide, "Configure memory").
ONE_CPU_MB = 1769

# CPU seconds of the handler, measured on one core of a laptop: of an invocation, and of a record in it.
HANDLER_CPU_S = 0.0025
RECORD_CPU_S = 0.00008

#: Latency of a BatchWriteItem on AWS, and events under way at once: 8 requests of 25.  An assumption.
WRITE_LATENCY_S = 0.01
WRITES_AT_ONCE = 200

#: Start of a new sandbox, before its first invocation.  Measured on a laptop; AWS is of that order.
COLD_START_S = 0.8

#: Our producer gives up on records when the shards take longer than the first for what it holds, and refuse
#: for longer than the second.  Found by simulating random plans.
HELD_S, REFUSING_S = 1.0, 75.0

#: How often Lambda reads a shard (Lambda developer guide, "Using Lambda with Kinesis").
POLL_S = 1.0

#: The largest payload of an invocation, and what a record adds to its data in base64 (Lambda developer guide,
#: "Lambda quotas"; the record's metadata as in the guide's example).
MAX_PAYLOAD_BYTES = 6 * MB
EVENT_RECORD_BYTES = 532

#: The largest parallelization factor (CreateEventSourceMapping).
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
    """Return how records hold one event each."""
    return Aggregation(1, event_bytes + KEY_BYTES)


def packed(event_bytes: int, events_per_record: int) -> Aggregation:
    """Return how records hold `events_per_record` events; one alone goes without a frame."""
    if events_per_record < 2:
        return one_by_one(event_bytes)
    frame = AGGREGATE_FRAME_BYTES + KEY_BYTES
    return Aggregation(events_per_record, frame + events_per_record * (event_bytes + AGGREGATE_EVENT_BYTES))


def aggregated(event_bytes: int, at_most: int | None = None) -> Aggregation:
    """Return how records hold as many events as fit into a payload unit, `at_most` at most, one at least."""
    frame = AGGREGATE_FRAME_BYTES + KEY_BYTES
    fitting = (PUT_UNIT_BYTES - frame) // (event_bytes + AGGREGATE_EVENT_BYTES)
    return packed(event_bytes, fitting if at_most is None else min(fitting, at_most))


def records_per_request(record_bytes: int) -> int:
    """Return the records of this size, their keys included, that our producer puts with one request."""
    return max(1, min(MAX_RECORDS, MAX_REQUEST_BYTES // record_bytes))


def records_held(record_bytes: int) -> int:
    """Return the records of this size that one producer has under way or refused, at most."""
    return max(1, min(MAX_RECORDS, READ_AHEAD_BYTES // record_bytes))


def quota_shards(region: str) -> int:
    """Return the shards that an account may have in a Region; of two figures that AWS names, the smaller."""
    return QUOTA_SHARDS if region in REGIONS_OF_MORE_SHARDS else QUOTA_SHARDS_ELSEWHERE


def item_bytes(event_bytes: int) -> int:
    """Return the size of an event's item as DynamoDB counts it."""
    return event_bytes + ITEM_OVERHEAD_BYTES


def write_units(event_bytes: int) -> int:
    """Return the write units of one event: one per started KB; the table has no index."""
    return math.ceil(item_bytes(event_bytes) / KB)


def put_units(record_bytes: int) -> int:
    """Return the PUT payload units of one record."""
    return math.ceil(record_bytes / PUT_UNIT_BYTES)


def rounded_to_kb(record_bytes: int) -> int:
    """Return the bytes that an on-demand stream bills for one record: rounded up to 1 KB."""
    return math.ceil(record_bytes / KB) * KB


def records(events: float, aggregation: Aggregation) -> float:
    """Return the records that hold `events` (or records per second, given events per second)."""
    return events / aggregation.events_per_record


def shards_for(
    events_s: float, aggregation: Aggregation, headroom: float = HEADROOM, room_s: float = math.inf
) -> int:
    """Return the shards that take `events_s` for `room_s` seconds, by records and by bytes, with headroom.

    Records are whole: a shard may get one more than its share, and has to take one at once even where that is
    more than its rate.
    """
    records_s = records(events_s, aggregation) * (1 + headroom)
    shard_s = max(shard_records_s(aggregation) - 1 / room_s, 1 / room_s)
    return max(1, math.ceil(records_s / shard_s))


def shard_records_s(aggregation: Aggregation) -> float:
    """Return the records per second that one shard takes, by number and by bytes."""
    return min(SHARD_IN_RECORDS_S, SHARD_IN_BYTES_S / aggregation.record_bytes)


def shard_events_s(aggregation: Aggregation) -> float:
    """Return the events per second that one shard takes."""
    return shard_records_s(aggregation) * aggregation.events_per_record


def records_per_invocation(batch_size: int, record_bytes: int) -> int:
    """Return the records in a full batch: the batch size, unless Lambda's payload limit is less."""
    encoded = math.ceil(record_bytes / 3) * 4 + EVENT_RECORD_BYTES
    return max(1, min(batch_size, MAX_PAYLOAD_BYTES // encoded))


def handler_s(events: float, memory_mb: int) -> float:
    """Return the seconds that an invocation takes: CPU at this memory, and waiting for DynamoDB."""
    slower = max(1.0, ONE_CPU_MB / memory_mb)
    waits = math.ceil(events / WRITES_AT_ONCE)
    return (HANDLER_CPU_S + events * RECORD_CPU_S) * slower + waits * WRITE_LATENCY_S


def lane_events_s(batch_events: float, memory_mb: int) -> float:
    """Return the events per second that a lane stores: full batches, one invocation after the other."""
    return batch_events / handler_s(batch_events, memory_mb)


def parallelization_for(events_s: float, shards: int, lane_s: float, headroom: float = HEADROOM) -> int:
    """Return the smallest parallelization factor that keeps up; it may exceed what Lambda allows."""
    return max(1, math.ceil(events_s * (1 + headroom) / (shards * lane_s)))


def let_in_after_s(even_s: float) -> float:
    """Return the seconds until a shard or table has let in what takes it `even_s` at an even rate.

    A second's worth comes in at once.  A refused record pauses longer each time, up to twice as long as it
    has been tried and, where many draw, three times, but no longer than our producer does (whose longest
    pause exceeds the handler's).
    """
    refused_s = max(0.0, even_s - AT_ONCE_S)
    return refused_s + min(3 * refused_s, BACKOFF_LIMIT_S)


def room_s(left_s: float) -> float:
    """Return the seconds, headroom included, in which an even rate has to let in a burst to meet `left_s`.

    The inverse of `let_in_after_s`, except that pauses may use up half the headroom, as uneven keys may.
    """
    refused_s = max(left_s / 4, left_s - BACKOFF_LIMIT_S)
    return min(left_s + AT_ONCE_S, (refused_s + AT_ONCE_S) * (1 + HEADROOM / 2))


def is_given_up(burst: int, aggregation: Aggregation, shards: int) -> bool:
    """Whether producers give up on records of a burst that they put as fast as possible."""
    shards_s = shards * shard_records_s(aggregation)
    in_records = records(burst, aggregation)
    held = min(in_records, records_held(aggregation.record_bytes))
    return held / shards_s > HELD_S and in_records / shards_s > REFUSING_S


def invocations_per_second(
    events_s: float, aggregation: Aggregation, lanes: int, batch_size: int, window_s: float = 0.0
) -> float:
    """Return the invocations per second under an even load.

    A lane is polled once per second, or once per window, and invokes when something has arrived since.
    Arrivals are taken as Poisson, so nothing has arrived with probability e^-expected.
    """
    interval_s = max(POLL_S, window_s)
    expected = records(events_s, aggregation) / lanes * interval_s
    return lanes * max(-math.expm1(-expected), expected / batch_size) / interval_s


def traces_per_second(invocations_s: float) -> float:
    """Return the X-Ray traces per second under its default rule: one, and 5 % of the rest."""
    return min(1.0, invocations_s) + 0.05 * max(0.0, invocations_s - 1.0)


def read_units(events: int, event_bytes: int) -> float:
    """Return the read units of an eventually consistent Query of `events`: half a unit per started 4 KB."""
    return math.ceil(events * item_bytes(event_bytes) / (4 * KB)) / 2
