"""`ops quarantine redrive` of an aggregate: sent once it would not come back whole."""

from pathlib import Path

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator

from tests.support.aggregates import aggregated, dense
from tests.support.dead_letters import Stream
from tests.support.lambda_events import wire
from tests.support.operators import Operator
from tests.support.quarantine_cases import GOOD, on_the_stream, set_aside


@pytest.mark.parametrize(
    ("payload", "because"),
    [
        (
            aggregated(GOOD) + b"\n",
            "bytes behind the aggregate's checksum, which fits without them (in hex): 0a; 0 events in this "
            "aggregate, and in quarantine 1 invalid_aggregate",
        ),
        (aggregated(), "0 events in this aggregate, and in quarantine nothing"),
    ],
)
def test_an_aggregate_that_would_come_back_is_not_redriven(
    ops: Operator, stream: Stream, payload: bytes, because: str
) -> None:
    ran = ops("quarantine", "redrive", set_aside(payload, "invalid_aggregate"))

    assert ran.code == 1
    assert f"still invalid: {because}" in " ".join(ran.out.split())
    assert on_the_stream(stream) == []


def test_a_line_s_end_behind_an_aggregate_is_left_out_and_one_that_ends_its_checksum_is_not(
    ops: Operator, stream: Stream, tmp_path: Path
) -> None:
    ends_so = next(
        data
        for n in range(5_000)
        if (data := aggregated(GOOD, wire("SN-1", "note", metadata={"n": n})))[-1] == 10
    )
    file = tmp_path / "aggregate"

    for data in (aggregated(GOOD) + b"\n", ends_so):
        file.write_bytes(data)
        ran = ops("quarantine", "redrive", set_aside(data, "invalid_aggregate"), "--edit", str(file))
        assert ran.code == 0

    assert sorted(on_the_stream(stream)) == sorted([(aggregated(GOOD), "key-1"), (ends_so, "key-1")])


def test_an_aggregate_of_very_many_records_is_looked_into(ops: Operator) -> None:
    ran = ops("quarantine", "redrive", set_aside(dense(b"", 20_000), "invalid_aggregate"), "--dry-run")

    assert "0 events in this aggregate, and in quarantine 1 invalid_aggregate" in " ".join(ran.out.split())


def test_an_aggregate_is_redriven_once_it_would_not_come_back_whole(
    ops: Operator, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.ingest.poison.MAX_INDIVIDUAL_CASES", 1)
    aggregator = RecordAggregator()
    for data in (b"a", b"b", GOOD):
        aggregator.add_user_record("SN-GOOD", data)
    aggregated = aggregator.clear_and_get().get_contents()[2]
    id_ = set_aside(aggregated, "invalid_aggregate")

    before = ops("quarantine", "redrive", id_)
    assert before.code == 1
    assert "still invalid" in before.out
    assert "1 invalid_aggregate" in before.out
    assert on_the_stream(stream) == []

    monkeypatch.setattr("chalicelib.ingest.poison.MAX_INDIVIDUAL_CASES", 2)
    foreseen = ops("quarantine", "redrive", id_, "--dry-run")
    after = ops("quarantine", "redrive", id_)

    assert "would store" in foreseen.out
    assert "1 events in this aggregate, and in quarantine 2 not_json" in foreseen.out
    assert after.code == 0
    assert on_the_stream(stream) == [(aggregated, "key-1")]
