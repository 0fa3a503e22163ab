"""What an answer with ReportBatchItemFailures means for its batch.

Kinesis rows whose id begins with `recorded` hold what was recorded from AWS; the others what the guide says.
"""

import json
from typing import Any

import pytest

from local.event_sources.batch_item_failures import (
    BatchFailed,
    Failures,
    checkpoint_of,
    interpret,
    succeeded_messages,
)
from local.sandbox.outcome import Ending, Outcome

BATCH = ["100", "101", "102"]


def payload(answer: Any) -> bytes:
    return json.dumps(answer).encode()


SUCCESS = {
    "recorded: null": None,
    "recorded: empty dict": {},
    "recorded: empty list of failures": {"batchItemFailures": []},
    "recorded: null failures": {"batchItemFailures": None},
    "recorded: empty list": [],
}

FAILURE = {
    "recorded: empty identifier": {"batchItemFailures": [{"itemIdentifier": ""}]},
    "recorded: null identifier": {"batchItemFailures": [{"itemIdentifier": None}]},
    "recorded: wrong key": {"batchItemFailures": [{"foo": 123}]},
    "recorded: wrong key, null": {"batchItemFailures": [{"foo": None}]},
    "recorded: not in the batch": {"batchItemFailures": [{"itemIdentifier": 123}]},
    "not in the batch, as text": {"batchItemFailures": [{"itemIdentifier": "99"}]},
}


@pytest.mark.parametrize("answer", SUCCESS.values(), ids=SUCCESS)
def test_an_answer_without_failures_is_success(answer: Any) -> None:
    assert interpret(payload(answer), BATCH, reported=True) == Failures(())


@pytest.mark.parametrize("answer", FAILURE.values(), ids=FAILURE)
def test_an_answer_that_cannot_be_understood_fails_the_whole_batch(answer: Any) -> None:
    assert interpret(payload(answer), BATCH, reported=True) == BatchFailed()


@pytest.mark.parametrize("answer", [*SUCCESS.values(), *FAILURE.values()])
def test_without_the_setting_every_answer_is_success(answer: Any) -> None:
    """Recorded from AWS for the empty answer (test_kinesis_empty_provided): one invocation, result OK."""
    assert interpret(payload(answer), BATCH, reported=False) == Failures(())


@pytest.mark.parametrize("reported", [True, False])
def test_an_empty_body_is_success(reported: bool) -> None:
    assert interpret(b"", BATCH, reported=reported) == Failures(())


def test_what_is_not_json_fails_the_whole_batch() -> None:
    assert interpret(b"{", BATCH, reported=True) == BatchFailed()
    assert interpret(b"\xff", BATCH, reported=True) == BatchFailed()


def test_nesting_too_deep_for_a_parser_fails_the_whole_batch_and_nothing_else() -> None:
    assert interpret(b"[" * 100_000 + b"]" * 100_000, BATCH, reported=True) == BatchFailed()


def test_known_identifiers_are_the_failures_and_the_lowest_number_is_the_checkpoint() -> None:
    answer = payload({"batchItemFailures": [{"itemIdentifier": "102"}, {"itemIdentifier": "101"}]})

    failures = interpret(answer, BATCH, reported=True)

    assert failures == Failures(["102", "101"])
    assert isinstance(failures, Failures)
    assert checkpoint_of(failures) == "101"
    assert checkpoint_of(Failures(["1000", "999"])) == "999"


class TestMessages:
    """An SQS batch: what is done is deleted."""

    @pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
    def test_success_deletes_everything(self, answer: Any) -> None:
        """Recorded from AWS (..._empty_json_batch_succeeds)."""
        assert succeeded_messages(Outcome(Ending.OK, payload(answer), ""), BATCH, reported=True) == BATCH

    @pytest.mark.parametrize("answer", FAILURE.values(), ids=FAILURE)
    def test_an_answer_that_cannot_be_understood_deletes_nothing(self, answer: Any) -> None:
        """Recorded from AWS for a wrong key (..._invalid_result_json_batch_fails)."""
        assert succeeded_messages(Outcome(Ending.OK, payload(answer), ""), BATCH, reported=True) == []

    def test_reported_messages_stay(self) -> None:
        answer = payload({"batchItemFailures": [{"itemIdentifier": "101"}]})

        assert succeeded_messages(Outcome(Ending.OK, answer, ""), BATCH, reported=True) == ["100", "102"]
        assert succeeded_messages(Outcome(Ending.OK, answer, ""), BATCH, reported=False) == BATCH

    @pytest.mark.parametrize(
        "ending", [Ending.ERROR, Ending.TIMEOUT, Ending.CRASH, Ending.UNDELIVERED], ids=str
    )
    def test_a_failed_invocation_deletes_nothing(self, ending: Ending) -> None:
        """Recorded from AWS (..._on_lambda_error)."""
        assert succeeded_messages(Outcome(ending, b"{}", ""), BATCH, reported=True) == []
