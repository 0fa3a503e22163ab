"""`ops quarantine redrive --edit`: the corrected text goes out, the original stays; two at once are told."""

from pathlib import Path

import pytest

from chalicelib import wiring
from chalicelib.tables.cases import AuditEntry
from ops import clients
from tests.support.dead_letters import Stream
from tests.support.headings import says
from tests.support.lambda_events import wire
from tests.support.operators import Operator
from tests.support.quarantine_cases import GOOD, case, on_the_stream, set_aside


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
    first = table.move(id_, "redriven", AuditEntry(1790000000000, "ada", "first"), b"a" * 600_000)
    second = table.move(id_, "redriven", AuditEntry(1790000000001, "grace", "second"), b"b" * 300_000)

    assert (first, second) == (True, False)
    closed = case(id_)
    assert closed.corrected == b"a" * 600_000
    assert [entry.who for entry in closed.trail] == ["ada"]


def test_two_corrections_of_one_case_at_once_are_both_sent_and_the_second_is_told(
    ops: Operator, stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = set_aside(b"neither")
    texts = {who: wire("SN-RACE", "note", source=who) for who in ("ada", "ben")}
    for who, text in texts.items():
        (tmp_path / who).write_bytes(text)
    put_record = clients.kinesis().put_record

    def overtaken(**record: object) -> object:
        monkeypatch.setattr(clients.kinesis(), "put_record", put_record)
        assert ops("quarantine", "redrive", id_, "--edit", str(tmp_path / "ada"), "--who", "ada").code == 0
        return put_record(**record)  # type: ignore[arg-type]

    monkeypatch.setattr(clients.kinesis(), "put_record", overtaken)

    ran = ops("quarantine", "redrive", id_, "--edit", str(tmp_path / "ben"), "--who", "ben")

    assert f"meanwhile: `quarantine show {id_}` has what they did" in ran.out
    assert says("; somebody closed the case", ran.out)
    assert "both are events now, and a void takes one out" in ran.out
    assert sorted(data for data, _ in on_the_stream(stream)) == sorted(texts.values())
    assert [entry.who for entry in case(id_).trail] == ["ada"]
    assert case(id_).corrected == texts["ada"]
