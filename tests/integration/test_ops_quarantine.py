"""`ops quarantine` on real tables and a real stream: list, show, redrive, discard."""

import base64
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from chalice.test import Client

from chalicelib import events, wiring
from chalicelib.cases import Case, Deed
from chalicelib.storage import Deadline
from cli.stage import ROOT
from ops import aws, quarantine
from tests.dead_letters import Stream
from tests.headings import says
from tests.lambda_events import batch, wire
from tests.operators import Operator

GOOD = wire("SN-GOOD", "note", metadata={"n": 1.10})


@pytest.fixture
def stream(stage: str) -> Stream:
    return Stream()


@pytest.fixture
def ops(stream: Stream, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    yield Operator(capsys)
    aws.reset()


def set_aside(
    payload: bytes,
    reason: str = "handler_error",
    at_ms: int = 1790000000123,
    sentence: str = "",
    partition_key: str = "key-1",
) -> str:
    """Put a case into quarantine as ingest and triage do; its id."""
    id_ = f"lifecycle-test-events/shardId-000000000000/{time.monotonic_ns()}"
    case = Case(
        id=id_,
        reason=reason,
        sentence=sentence or f"KeyError: {reason}",
        payload=payload,
        partition_key=partition_key,
        arrived_at_ms=at_ms,
    )
    assert wiring.quarantine().put(case)
    return id_


def case(id_: str) -> Case:
    found = wiring.quarantine().get(id_)
    assert found is not None
    return found


def on_the_stream(stream: Stream) -> list[tuple[bytes, str]]:
    """Everything on the stream: data and partition key."""
    found = []
    for shard in stream.kinesis.list_shards(StreamName=stream.name)["Shards"]:
        iterator = stream.kinesis.get_shard_iterator(
            StreamName=stream.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        answer = stream.kinesis.get_records(ShardIterator=iterator)
        found += [(record["Data"], record["PartitionKey"]) for record in answer["Records"]]
    return found


def store(data: bytes) -> None:
    """Have the history hold this event already."""
    from chalicelib.history import to_item

    written = wiring.history().write([to_item(events.decode(data), 1)], Deadline(60))
    assert not written.unfinished


def test_the_list_shows_open_cases_oldest_first_with_what_is_wrong(ops: Operator) -> None:
    newer = set_aside(b"b", "not_json", 1790000000999, "not JSON at line 1 column 1: Expecting value")
    older = set_aside(
        b"a", "handler_error", 1790000000123, "Traceback (most recent call last):\n  x\nKeyError: 'k'"
    )

    ran = ops("quarantine", "list")

    first, second = ran.out.splitlines()[1:]
    assert first.split() == [older, "2026-09-21T14:13:20.123Z", "key-1", "handler_error", "KeyError:", "'k'"]
    assert second.startswith(newer)
    assert "Expecting value" in second
    assert (ran.code, ran.err) == (0, "2 open\n")


def test_the_list_can_be_narrowed_by_reason_time_and_status(ops: Operator) -> None:
    set_aside(b"a", "not_json", 1790000000000)
    chosen = set_aside(b"b", "not_json", 1790000001000)
    set_aside(b"c", "handler_error", 1790000001000)
    gone = set_aside(b"d", "not_json", 1790000001000)
    ops("quarantine", "discard", gone, "--why", "a test")

    ran = ops("quarantine", "list", "--reason", "not_json", "--since", "2026-09-21T14:13:21Z", "--json")
    discarded = ops("quarantine", "list", "--status", "discarded", "--json")

    assert [each["id"] for each in ran.json] == [chosen]
    assert [each["id"] for each in discarded.json] == [gone]
    assert discarded.json[0]["arrived_at"] == "2026-09-21T14:13:21.000Z"


def test_an_empty_quarantine_is_said_and_not_an_error(ops: Operator) -> None:
    assert ops("quarantine", "list") == (0, "", "0 open\n")


def test_more_cases_than_one_answer_holds_are_listed(ops: Operator) -> None:
    ids = {set_aside(b"x" * 100, at_ms=1790000000000 + n) for n in range(130)}

    listed = [each["id"] for each in ops("quarantine", "list", "--json").json]

    assert (len(listed), set(listed)) == (130, ids)


def test_show_points_at_the_spot_that_the_reason_is_about(
    ops: Operator, stream: Stream, client: Client
) -> None:
    payload = b'{"serial": "SN-1", "type": "Production", "occurred_at": "2026-01-01T00:00:00Z"}'
    client.lambda_.invoke("process_lifecycle", batch([payload]))
    (id_,) = wiring.quarantine().ids()

    ran = ops("quarantine", "show", id_)

    lines = ran.out.splitlines()
    assert ran.code == 0
    assert "reason         invalid_event" in lines
    assert payload.decode() in lines
    assert lines[-2][lines[-1].index("^") :].startswith('"type"')
    assert lines[-1].count("^") == len('"type"')


def test_show_writes_the_payload_byte_for_byte_into_a_pipe(ops: Operator) -> None:
    payload = bytes(range(256)) * 2000 + b"\r\n\n"
    id_ = set_aside(payload)

    ran = subprocess.run(
        [sys.executable, "-m", "ops", "quarantine", "show", id_, "--payload"], capture_output=True, cwd=ROOT
    )

    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout == payload


def test_a_reader_that_has_had_enough_is_no_error_with_a_traceback(ops: Operator) -> None:
    for n in range(3):
        set_aside(b"x", sentence=str(n) * 100_000)
    listing = subprocess.Popen(
        [sys.executable, "-m", "ops", "quarantine", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert listing.stdout is not None
    listing.stdout.close()

    assert listing.stderr is not None
    assert b"Traceback" not in listing.stderr.read()
    assert listing.wait(30) == 1
    listing.stderr.close()


def test_a_payload_cannot_speak_to_the_terminal(ops: Operator) -> None:
    id_ = set_aside(b"\x1b]0;owned\x07\x1b[2J[bold]hello[/bold]\x00\xff", "not_utf8", sentence="\x1b[31mbad")

    for ran in ops("quarantine", "show", id_), ops("quarantine", "list"):
        assert "\x1b" not in ran.out
        assert "\x00" not in ran.out
        assert "bad" in ran.out
    assert "[bold]hello[/bold]" in ops("quarantine", "show", id_).out


def test_a_partition_key_cannot_add_lines_to_what_show_says(ops: Operator) -> None:
    id_ = set_aside(GOOD, partition_key="key\nstatus         discarded\x9b2J")

    ran = ops("quarantine", "show", id_)

    assert "partition key  key\\nstatus         discarded\\x9b2J" in ran.out.splitlines()
    assert [line for line in ran.out.splitlines() if line.startswith("status")] == ["status         open"]


def test_json_says_what_a_terminal_would_obey_in_escapes_that_read_back_the_same(ops: Operator) -> None:
    key = "\x9b2J\x7f\u202e\U000e0001\ud7ff é €"
    id_ = set_aside(GOOD.replace(b"SN-GOOD", key.encode()), partition_key=key)

    listed, shown = ops("quarantine", "list", "--json"), ops("quarantine", "show", id_, "--json")

    for ran in (listed, shown):
        assert ran.out.replace("\n", "").isprintable()
        assert ran.json[0]["partition_key"] == key
    assert key in shown.json[0]["payload_text"]
    assert "é €" in listed.out  # what does no harm stays readable


def test_show_as_json_has_everything_a_program_needs(ops: Operator) -> None:
    id_ = set_aside(b"\xff\x00", "not_utf8")

    (shown,) = ops("quarantine", "show", id_, "--json").json

    assert base64.b64decode(shown["payload_base64"]) == b"\xff\x00"
    assert shown["payload_text"] is None
    assert (shown["id"], shown["status"], shown["reason"], shown["trail"]) == (id_, "open", "not_utf8", [])


@pytest.mark.parametrize("id_", ["nobody/knows/this", "", "progress/lifecycle-test-events"])
def test_an_id_that_nobody_knows_is_one_sentence(ops: Operator, id_: str) -> None:
    ran = ops("quarantine", "show", id_)

    assert ran == (1, "", f"error: no case {id_!r}; `python -m ops quarantine list` shows what there is\n")


def test_how_far_triage_has_come_is_no_case(ops: Operator) -> None:
    assert wiring.quarantine().save_bookmark("s/shardId-0/1-2", "{}", Deadline(60))

    ran = ops("quarantine", "show", "progress/s/shardId-0/1-2")

    assert (ran.code, ran.out) == (1, "")
    assert ops("quarantine", "list").err == "0 open\n"


def test_redrive_puts_the_record_on_the_stream_and_closes_the_case(ops: Operator, stream: Stream) -> None:
    id_ = set_aside(GOOD)

    ran = ops("quarantine", "redrive", id_, "--who", "ada")

    assert ran.code == 0
    assert on_the_stream(stream) == [(GOOD, "SN-GOOD")]
    closed = case(id_)
    assert (closed.status, closed.payload) == ("redriven", GOOD)
    (deed,) = closed.trail
    assert deed.who == "ada"
    assert deed.what.startswith("redriven to shardId-")
    assert abs(deed.at_ms - time.time() * 1000) < 60_000
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


def test_an_aggregate_is_redriven_once_it_would_not_come_back_whole(
    ops: Operator, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.ingest.MOST_ALONE", 1)
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

    monkeypatch.setattr("chalicelib.ingest.MOST_ALONE", 2)
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
    monkeypatch.setattr("ops.redrive.time.sleep", pauses.append)

    ops("quarantine", "redrive", "--all", "--rate", "0.001")

    # Nobody really waited, so each pause is as long as all that should have passed until then.
    assert [round(pause, -2) for pause in pauses] == [0, 1000, 2000, 3000]


def test_a_corrected_text_goes_on_the_stream_and_the_original_stays(
    ops: Operator, stream: Stream, tmp_path: Path
) -> None:
    broken = GOOD[:-1]
    id_ = set_aside(broken, "not_json")
    edit = tmp_path / "record.json"
    edit.write_bytes(GOOD + b"\n")

    dry = ops("quarantine", "redrive", id_, "--edit", str(edit), "--dry-run")
    ran = ops("quarantine", "redrive", id_, "--edit", str(edit))

    assert (dry.code, dry.out) == (0, f"{id_}  would store\n")
    assert ran.code == 0
    assert on_the_stream(stream) == [(GOOD, "SN-GOOD")]
    closed = case(id_)
    assert (closed.payload, closed.corrected, closed.status) == (broken, GOOD, "redriven")
    assert closed.trail[0].what.endswith("with a corrected text")
    assert f"corrected      {len(GOOD)} bytes" in ops("quarantine", "show", id_).out


def test_a_correction_may_be_as_large_as_a_record_and_so_may_the_original(
    ops: Operator, stream: Stream, tmp_path: Path
) -> None:
    original = b"[" + b"x" * 600_000
    corrected = wire("SN-LARGE", metadata={"text": "y" * 390_000})
    id_ = set_aside(original, "not_json")
    edit = tmp_path / "record.json"
    edit.write_bytes(corrected)

    ran = ops("quarantine", "redrive", id_, "--edit", str(edit))

    assert ran.code == 0
    closed = case(id_)
    assert (closed.payload, closed.corrected) == (original, corrected)


def test_two_corrections_at_once_are_not_mixed(stage: str) -> None:
    id_ = set_aside(b"broken")
    table = wiring.quarantine()
    first = table.move(id_, "redriven", Deed(1790000000000, "ada", "first"), b"a" * 600_000)
    second = table.move(id_, "redriven", Deed(1790000000001, "grace", "second"), b"b" * 300_000)

    assert (first, second) == (True, False)
    closed = case(id_)
    assert closed.corrected == b"a" * 600_000
    assert [deed.who for deed in closed.trail] == ["ada"]


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
        crash.setattr("ops.redrive.Quarantine.move", lambda *_: sys.exit(9))
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
    put_record = aws.kinesis().put_record

    def slow(**record: object) -> object:
        wiring.quarantine().move(id_, "discarded", Deed(1, "ada", "discarded: too slow"))
        return put_record(**record)  # type: ignore[arg-type]

    monkeypatch.setattr(aws.kinesis(), "put_record", slow)

    ran = ops("quarantine", "redrive", id_)

    assert "somebody closed the case meanwhile, a duplicate changes nothing" in ran.out
    assert [deed.who for deed in case(id_).trail] == ["ada"]


def test_two_corrections_of_one_case_at_once_are_both_sent_and_the_second_is_told(
    ops: Operator, stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = set_aside(b"neither")
    texts = {who: wire("SN-RACE", "note", source=who) for who in ("ada", "ben")}
    for who, text in texts.items():
        (tmp_path / who).write_bytes(text)
    put_record = aws.kinesis().put_record

    def overtaken(**record: object) -> object:
        monkeypatch.setattr(aws.kinesis(), "put_record", put_record)
        assert ops("quarantine", "redrive", id_, "--edit", str(tmp_path / "ada"), "--who", "ada").code == 0
        return put_record(**record)  # type: ignore[arg-type]

    monkeypatch.setattr(aws.kinesis(), "put_record", overtaken)

    ran = ops("quarantine", "redrive", id_, "--edit", str(tmp_path / "ben"), "--who", "ben")

    assert f"meanwhile: `quarantine show {id_}` has what they did" in ran.out
    assert says("; somebody closed the case", ran.out)
    assert "both are events now, and a void takes one out" in ran.out
    assert sorted(data for data, _ in on_the_stream(stream)) == sorted(texts.values())
    assert [deed.who for deed in case(id_).trail] == ["ada"]
    assert case(id_).corrected == texts["ada"]


def test_discard_keeps_who_and_why(ops: Operator) -> None:
    ids = [set_aside(b"a"), set_aside(b"b")]

    ran = ops("quarantine", "discard", *ids, "--why", "a test of the dealer's", "--who", "ada")

    assert (ran.code, ran.err) == (0, "2 discarded\n")
    for id_ in ids:
        assert case(id_).status == "discarded"
        assert [(deed.who, deed.what) for deed in case(id_).trail] == [
            ("ada", "discarded: a test of the dealer's")
        ]


def test_a_replay_does_not_reopen_what_somebody_discarded(ops: Operator) -> None:
    id_ = set_aside(b"a")
    original = case(id_)
    ops("quarantine", "discard", id_, "--why", "a test")

    assert wiring.quarantine().put(original) is False

    assert case(id_).status == "discarded"


def test_one_unknown_id_does_not_stop_the_others(ops: Operator) -> None:
    id_ = set_aside(GOOD)

    redriven = ops("quarantine", "redrive", "nobody/knows/this", id_)
    discarded = ops("quarantine", "discard", "nobody/knows/this", set_aside(b"a"), "--why", "a test")

    assert (redriven.code, redriven.err) == (1, "1 no such case, 1 redriven\n")
    assert (discarded.code, discarded.err) == (1, "1 no such case, 1 discarded\n")


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


def test_a_table_that_is_missing_is_one_sentence(ops: Operator) -> None:
    os.environ["LIFECYCLE_QUARANTINE_TABLE"] = "no-such-table"

    ran = ops("quarantine", "list")

    assert (ran.code, ran.out) == (3, "")
    assert f"there is no table {os.environ['LIFECYCLE_HISTORY_TABLE']}, or no no-such-table: " in ran.err
    assert says("there is no table …", ran.err)
    assert "ResourceNotFoundException" in ran.err
    assert ran.err.count("\n") == 1


def test_every_example_of_the_help_runs(
    ops: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "record.json").write_bytes(GOOD)
    ran = 0
    for text in (
        quarantine.LIST_EXAMPLES,
        quarantine.SHOW_EXAMPLES,
        quarantine.REDRIVE_EXAMPLES,
        quarantine.DISCARD_EXAMPLES,
    ):
        for line in text.splitlines():
            if not line.startswith("  python -m ops "):
                continue
            id_ = set_aside(GOOD)
            arguments = shlex.split(line.partition(">")[0])[3:]
            assert ops(*(id_ if each == "ID" else each for each in arguments)).code == 0, line
            ran += 1
    assert ran == 9


def test_a_case_shows_its_json_numbers_as_they_were_written(ops: Operator) -> None:
    payload = b'{"serial": "SN-1", "metadata": {"n": 1.10, "n": 1e400}}'
    id_ = set_aside(payload, "invalid_event", sentence="the key 'n' stands twice in one object")

    lines = ops("quarantine", "show", id_).out.splitlines()

    assert payload.decode() in lines
    assert lines[-2][lines[-1].index("^") :].startswith('"n": 1e400')
