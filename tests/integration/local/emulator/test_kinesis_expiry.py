"""What has expired in the embedded Kinesis is looked for only where and when there is some."""

import time
from types import SimpleNamespace

import pytest

from local.emulator.patches import kinesis_expiry


def test_records_past_their_retention_still_vanish_and_others_stay(ministack: SimpleNamespace) -> None:
    kinesis_expiry.apply(ministack.kinesis)
    now = time.time()
    records = [{"ApproximateArrivalTimestamp": now - age_s} for age_s in (90_000, 86_500, 86_300, 1)]
    stream = {"RetentionPeriodHours": 24, "shards": {"old": {"records": records}, "empty": {"records": []}}}

    ministack.kinesis._expire_records(stream)

    assert stream["shards"]["old"]["records"] == records[2:]


def test_a_stream_without_records_past_their_retention_is_not_copied(ministack: SimpleNamespace) -> None:
    kinesis_expiry.apply(ministack.kinesis)
    records = [{"ApproximateArrivalTimestamp": time.time()}] * 3
    stream = {"RetentionPeriodHours": 24, "shards": {"young": {"records": records}}}

    ministack.kinesis._expire_records(stream)

    assert stream["shards"]["young"]["records"] is records


def test_shard_iterators_are_cleared_away_now_and_then(ministack: SimpleNamespace) -> None:
    cleared_at: list[float] = []
    now = 1000.0
    ministack.kinesis._expire_iterators = lambda: cleared_at.append(now)
    kinesis_expiry.apply(ministack.kinesis, clock=lambda: now)

    for step_s in (0.0, 1.0, 8.9, 0.1, 0.1, 10.0):
        now += step_s
        ministack.kinesis._expire_iterators()

    assert cleared_at == pytest.approx([1000.0, 1010.0, 1020.1])
