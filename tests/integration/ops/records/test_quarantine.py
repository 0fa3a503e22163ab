"""`ops quarantine` on real tables: list, show, discard."""

import base64
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from chalice.test import Client

from chalicelib import wiring
from chalicelib.deadline import Deadline
from cli.paths import ROOT
from ops.records import quarantine
from tests.support.dead_letters import Stream
from tests.support.headings import says
from tests.support.lambda_events import batch
from tests.support.operators import Operator
from tests.support.quarantine_cases import GOOD, case, set_aside
from tests.support.waiting import PATIENCE_S


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
    assert listing.wait(PATIENCE_S) == 1
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
    assert wiring.progress().save("s/shardId-0/1-2", "{}", Deadline(60))

    ran = ops("quarantine", "show", "progress/s/shardId-0/1-2")

    assert (ran.code, ran.out) == (1, "")
    assert ops("quarantine", "list").err == "0 open\n"


def test_discard_keeps_who_and_why(ops: Operator) -> None:
    ids = [set_aside(b"a"), set_aside(b"b")]

    ran = ops("quarantine", "discard", *ids, "--why", "a test of the dealer's", "--who", "ada")

    assert (ran.code, ran.err) == (0, "2 discarded\n")
    for id_ in ids:
        assert case(id_).status == "discarded"
        assert [(entry.who, entry.what) for entry in case(id_).trail] == [
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


def test_a_table_that_is_missing_is_one_sentence(ops: Operator) -> None:
    os.environ["LIFECYCLE_QUARANTINE_TABLE"] = "no-such-table"

    ran = ops("quarantine", "list")

    assert (ran.code, ran.out) == (3, "")
    assert (
        f"there is no table {os.environ['LIFECYCLE_HISTORY_TABLE']}, or no no-such-table, or no " in ran.err
    )
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
