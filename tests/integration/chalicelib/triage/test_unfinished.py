"""Dead letters that triage cannot finish: they go back, and go on where they were cut off."""

from typing import Any

import pytest
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.domain import events
from chalicelib.errors import LifecycleError, UnfinishedBatchError
from chalicelib.triage import triage
from tests.support import faults
from tests.support.dead_letters import Stream, sqs_event
from tests.support.triage import (
    NOTHING_LEFT,
    Handler,
    down_for,
    items_of,
    notes,
    run,
    set_aside,
    stored,
    the_case,
)


def test_a_setting_that_is_missing_is_no_record_s_fault(
    handler: Handler, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = stream.put(notes(3))

    def unset(_: bytes) -> events.Event:
        raise LifecycleError("a setting is missing")

    with monkeypatch.context() as patch:
        patch.setattr(events, "decode", unset)
        (report,) = handler.run(sqs_event(stream.dead_letter(numbers)))

    assert not report.finished
    assert "a setting is missing" in report.because
    assert set_aside() == []


def test_a_message_that_cannot_be_finished_goes_back_and_one_that_was_does_not(
    handler: Handler, stream: Stream
) -> None:
    done = stream.dead_letter(stream.put(notes(3, "SN-DONE")))
    stuck = stream.dead_letter(stream.put(notes(3, "SN-STUCK")))
    event = sqs_event(done, stuck)
    faults.on(handler.dynamodb, "BatchWriteItem", down_for("SN-STUCK"))

    reports = handler.run(event)

    assert [report.finished for report in reports] == [True, False]
    assert "InternalServerError" in reports[1].because
    assert triage.partial_response(reports, mapping_listens=True) == {
        "batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]
    }


def test_a_bug_of_triage_on_one_message_does_not_undo_the_others(
    handler: Handler, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = sqs_event(stream.dead_letter(stream.put(notes(3))), "a bug", "no invocation record")
    parse = triage.invocation_record.parse

    def stumbles(body: str) -> Any:
        return parse(body) if body != "a bug" else 1 / 0

    with monkeypatch.context() as patch:
        patch.setattr(triage.invocation_record, "parse", stumbles)
        reports = handler.run(event)

    assert [report.finished for report in reports] == [True, False, True]
    assert triage.partial_response(reports, mapping_listens=True) == {
        "batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]
    }


def test_an_unfinished_message_is_never_taken_for_done_by_a_mapping_that_does_not_listen(
    client: Client, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = stream.dead_letter(stream.put(notes(3)))
    monkeypatch.setenv("LIFECYCLE_HISTORY_TABLE", "no-such-table")

    with pytest.raises(UnfinishedBatchError, match="1 dead letters unfinished"):
        run(client, message)


def test_an_outage_sends_the_message_back_and_the_next_try_finishes_it(
    listening: Client, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = sqs_event(stream.dead_letter(stream.put([*notes(3), b"not json"])))
    with monkeypatch.context() as outage:
        outage.setenv("LIFECYCLE_HISTORY_TABLE", "no-such-table")
        wiring.reset()
        answer = listening.lambda_.invoke("triage_dead_letters", event).payload
    wiring.reset()

    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
    assert listening.lambda_.invoke("triage_dead_letters", event).payload == NOTHING_LEFT
    assert stored() == [0, 1, 2]
    assert the_case().payload == b"not json"


def test_a_wide_range_goes_on_where_it_was_cut_off(handler: Handler, stream: Stream) -> None:
    event = sqs_event(stream.dead_letter(stream.put([*notes(1300), *notes(1, "SN-STUCK")])))
    is_down = True
    stuck = down_for("SN-STUCK", notes(1300)[700])
    sent = faults.on(handler.dynamodb, "BatchWriteItem", lambda body: stuck(body) if is_down else None)

    (first,) = handler.run(event)
    listed = list(wiring.quarantine().heads())
    is_down = False
    sent.clear()
    (second,) = handler.run(event)

    assert (first.finished, first.tally.read) == (False, 500)
    assert listed == []  # progress is no case
    assert sum(len(body["RequestItems"][settings.history_table()]) for body in sent) == 801
    assert (second.finished, second.tally.stored) == (True, 1301)
    assert stored() == list(range(1300))
    assert items_of(settings.quarantine_table()) == 0  # no progress once the message is done
