"""`ops quarantine redrive` on real tables and a real stream: sent once, and the case closed after that."""

import sys
import time
from pathlib import Path

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from chalice.test import Client

from chalicelib import wiring
from chalicelib.domain import events
from chalicelib.tables.cases import AuditEntry
from ops import clients
from tests.support.aggregates import aggregated, dense
from tests.support.dead_letters import Stream
from tests.support.headings import says
from tests.support.lambda_events import batch, wire
from tests.support.operators import Operator
from tests.support.quarantine_cases import GOOD, case, on_the_stream, set_aside, store


def test_redrive_puts_the_record_on_the_stream_and_closes_the_case(ops: Operator, stream: Stream) -> None:
    id_ = set_aside(GOOD)

    ran = ops("quarantine", "redrive", id_, "--who", "ada")

    assert ran.code == 0
    assert on_the_stream(stream) == [(GOOD, "SN-GOOD")]
    closed = case(id_)
    assert (closed.status, closed.payload) == ("redriven", GOOD)
    (entry,) = closed.trail
    assert entry.who == "ada"
    assert entry.what.startswith("redriven to shardId-")
    assert abs(entry.at_ms - time.time() * 1000) < 60_000
    assert list(wiring.quarantine().ids()) == []


def test_the_operating_system_s_user_is_who_redrove_unless_named(
    ops: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    id_ = set_aside(GOOD)

    ops("quarantine", "redrive", id_)

    assert case(id_).trail[0].who == "grace"


def test_a_redriven_record_is_ingested_as_any_other(ops: Operator, stream: Stream, client: Client) -> None:
    ops("quarantine", "redrive", set_aside(GOOD))

    ((data, key),) = on_the_stream(stream)
    client.lambda_.invoke("process_lifecycle", batch([data]))

    (event,) = wiring.history().page(key, limit=None).events
    assert event.position == events.decode(GOOD).position


def test_a_record_that_is_no_event_keeps_its_partition_key_when_it_is_forced(
    ops: Operator, stream: Stream
) -> None:
    ran = ops("quarantine", "redrive", set_aside(b"not json", "not_json"), "--force")

    assert ran.code == 0
    assert on_the_stream(stream) == [(b"not json", "key-1")]


def test_a_record_that_is_still_invalid_is_left_open_with_the_reason(ops: Operator, stream: Stream) -> None:
    id_ = set_aside(b"not json", "not_json")

    ran = ops("quarantine", "redrive", id_)

    assert ran.code == 1
    assert ran.out.startswith(f"{id_}  still invalid: not JSON at line 1 column 1")
    assert on_the_stream(stream) == []
    assert case(id_).status == "open"


def test_a_dry_run_says_what_each_would_become_and_sends_nothing(
    ops: Operator, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, known, bad, buggy = (
        set_aside(data, at_ms=1790000000000 + n)
        for n, data in enumerate([GOOD, wire("SN-KNOWN"), b"not json", wire("SN-BUG")])
    )
    expired = set_aside(b"{}", "expired")
    store(wire("SN-KNOWN"))
    decode = events.decode
    monkeypatch.setattr(events, "decode", lambda data: 1 / 0 if b"SN-BUG" in data else decode(data))

    ran = ops("quarantine", "redrive", "--all", "--dry-run")

    assert ran.code == 0
    verdicts = dict(line.split("  ", 1) for line in ran.out.splitlines())
    assert verdicts.pop(bad).startswith("still invalid: not JSON")
    assert verdicts == {
        good: "would store",
        known: "already stored",
        buggy: "still invalid: the code still fails on it: ZeroDivisionError('division by zero')",
    }
    assert "left alone: 1 that hold no record" in ran.err
    assert ran.err.endswith("1 would store, 1 already stored, 2 still invalid\nnothing sent: --dry-run\n")
    assert on_the_stream(stream) == []
    assert len(list(wiring.quarantine().ids())) == 5
    assert case(expired).status == "open"


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


def test_all_of_a_reason_can_be_redriven_a_few_at_a_time(ops: Operator, stream: Stream) -> None:
    ids = [set_aside(wire(f"SN-{n}"), at_ms=1790000000000 + n) for n in range(5)]
    other = set_aside(wire("SN-OTHER"), "refused")

    first = ops("quarantine", "redrive", "--all", "--reason", "handler_error", "--limit", "2", "--json")
    rest = ops("quarantine", "redrive", "--all", "--reason", "handler_error", "--json")

    assert [each["id"] for each in first.json] == ids[:2]
    assert [each["id"] for each in rest.json] == ids[2:]
    assert {each["verdict"] for each in [*first.json, *rest.json]} == {"redriven"}
    assert sorted(key for _, key in on_the_stream(stream)) == [f"SN-{n}" for n in range(5)]
    assert case(other).status == "open"


def test_redrive_keeps_to_the_rate(ops: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(4):
        set_aside(wire(f"SN-{n}"))
    pauses: list[float] = []
    monkeypatch.setattr("ops.records.redrive.time.sleep", pauses.append)

    ops("quarantine", "redrive", "--all", "--rate", "0.001")

    # Nobody really waited, so each pause is as long as all that should have passed until then.
    assert [round(pause, -2) for pause in pauses] == [0, 1000, 2000, 3000]


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("expired", "nothing to redrive"),
        ("not_an_invocation_record", "holds a dead-letter message and no record"),
        ("foreign_stream", "holds a dead-letter message and no record"),
    ],
)
def test_what_holds_no_record_cannot_be_redriven_even_by_force(
    ops: Operator, stream: Stream, reason: str, says: str
) -> None:
    id_ = set_aside(b"{}", reason)

    ran = ops("quarantine", "redrive", id_, "--force")

    assert ran.code == 1
    assert ran.out.startswith(f"{id_}  cannot be redriven: ")
    assert says in ran.out
    assert on_the_stream(stream) == []


def test_a_closed_case_is_neither_redriven_nor_discarded_again(ops: Operator, stream: Stream) -> None:
    id_ = set_aside(GOOD)
    ops("quarantine", "discard", id_, "--why", "a test", "--who", "ada")

    redriven = ops("quarantine", "redrive", id_)
    discarded = ops("quarantine", "discard", id_, "--why", "again")

    assert redriven.code == discarded.code == 1
    assert f"{id_}  cannot be redriven: it is discarded already by ada" in redriven.out
    assert says("it is … already", redriven.out)
    assert discarded.out == f"{id_}  cannot be discarded: it is discarded already\n"
    assert on_the_stream(stream) == []
    assert len(case(id_).trail) == 1


def test_a_crash_between_the_stream_and_the_state_leaves_a_duplicate_and_no_loss(
    ops: Operator, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = set_aside(GOOD)
    with monkeypatch.context() as crash:
        crash.setattr("ops.records.redrive.Quarantine.move", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            ops("quarantine", "redrive", id_)
    assert case(id_).status == "open"

    ops("quarantine", "redrive", id_)

    assert on_the_stream(stream) == [(GOOD, "SN-GOOD")] * 2
    assert case(id_).status == "redriven"


def test_a_case_that_somebody_closes_meanwhile_is_said(
    ops: Operator, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = set_aside(GOOD)
    put_record = clients.kinesis().put_record

    def slow(**record: object) -> object:
        wiring.quarantine().move(id_, "discarded", AuditEntry(1, "ada", "discarded: too slow"))
        return put_record(**record)  # type: ignore[arg-type]

    monkeypatch.setattr(clients.kinesis(), "put_record", slow)

    ran = ops("quarantine", "redrive", id_)

    assert "somebody closed the case meanwhile, a duplicate changes nothing" in ran.out
    assert [entry.who for entry in case(id_).trail] == ["ada"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name the records by ID, or say --all"),
        (["--all", "x"], "name the records by ID, or say --all"),
        (["x", "--reason", "not_json"], "go with --all"),
        (["x", "--limit", "3"], "go with --all"),
        (["--all", "--edit", "f"], "exactly one ID"),
        (["x", "y", "--edit", "f"], "exactly one ID"),
        (
            ["x", "--edit", "/no/such/file"],
            "cannot read /no/such/file: No such file or directory; `quarantine show",
        ),
        (["x", "--edit", "/"], "cannot read /: Is a directory"),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(ops: Operator, arguments: list[str], says: str) -> None:
    ran = ops("quarantine", "redrive", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert says in ran.err


def test_a_stream_that_is_gone_is_one_sentence_and_the_case_stays_open(ops: Operator, stream: Stream) -> None:
    id_ = set_aside(GOOD)
    stream.kinesis.delete_stream(StreamName=stream.name)

    ran = ops("quarantine", "redrive", id_)

    assert ran.code == 3
    assert "PutRecord was refused: ResourceNotFoundException" in ran.err
    assert says("… was refused", ran.err)
    assert "make serve" in ran.err
    assert "Traceback" not in ran.err
    assert case(id_).status == "open"
