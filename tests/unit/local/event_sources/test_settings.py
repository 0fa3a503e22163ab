"""What the local mappings are set to, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.errors import ConfigurationError
from local.event_sources import settings
from local.event_sources.settings import KinesisSettings, SqsSettings


def app_with(kinesis: dict[str, Any] | None = None, sqs: dict[str, Any] | None = None) -> Chalice:
    app = Chalice(app_name="test")

    @app.on_kinesis_record(stream="s", **(kinesis or {}))
    def keep_events(event: Any) -> None:
        """A handler."""

    @app.on_sqs_message(queue="q", **(sqs or {}))
    def look_at_dead_letters(event: Any) -> None:
        """Another."""

    return app


def functions(path: Path, source: dict[str, Any] | None = None, **function: Any) -> Path:
    """A functions.json whose two functions and mappings have these properties."""
    file = path / "functions.json"
    resources = {
        name: {"Properties": {**function, "Events": {f"{name}{kind}": {"Properties": source or {}}}}}
        for name, kind in (("KeepEvents", "KinesisEventSource"), ("LookAtDeadLetters", "SqsEventSource"))
    }
    file.write_text(json.dumps({"Resources": resources}))
    return file


def test_the_decorator_and_the_file_together_are_the_settings(tmp_path: Path) -> None:
    app = app_with(
        {"batch_size": 500, "starting_position": "TRIM_HORIZON", "maximum_batching_window_in_seconds": 2}
    )
    file = functions(
        tmp_path,
        {
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 3,
            "MaximumRecordAgeInSeconds": 86400,
            "ParallelizationFactor": 4,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:::q"}},
        },
        Timeout=45,
        MemorySize=512,
    )

    assert settings.for_kinesis(app, "keep_events", file) == KinesisSettings(
        batch_size=500,
        window_s=2,
        starting_position="TRIM_HORIZON",
        parallelization_factor=4,
        retry_attempts=3,
        record_age_s=86400,
        bisect=True,
        partial_responses=True,
        timeout_s=45,
        memory_mb=512,
    )


def test_what_nobody_has_set_has_awss_defaults(tmp_path: Path) -> None:
    """Recorded from AWS (test_create_kinesis_event_source_mapping): 100, 0, 1, -1, -1, false, []."""
    found = settings.for_kinesis(app_with(), "keep_events", functions(tmp_path))

    assert (found.batch_size, found.window_s, found.parallelization_factor) == (100, 0, 1)
    assert (found.retry_attempts, found.record_age_s) == (-1, -1)
    assert (found.bisect, found.partial_responses) == (False, False)


def test_the_sqs_mapping_reads_the_same_two_homes(tmp_path: Path) -> None:
    app = app_with(sqs={"batch_size": 20, "maximum_batching_window_in_seconds": 1, "maximum_concurrency": 7})
    file = functions(tmp_path, {"FunctionResponseTypes": ["ReportBatchItemFailures"]}, Timeout=30)

    assert settings.for_sqs(app, "look_at_dead_letters", file) == SqsSettings(
        batch_size=20, window_s=1, concurrency=7, partial_responses=True, timeout_s=30, memory_mb=128
    )


def test_the_apps_own_handlers_have_settings() -> None:
    from app import app

    found = settings.for_kinesis(app, "process_lifecycle")

    assert found.bisect
    assert found.partial_responses
    assert found.starting_position == "TRIM_HORIZON"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("ParallelizationFactor", 11, "ParallelizationFactor: expected 1 to 10, got 11"),
        ("ParallelizationFactor", True, "ParallelizationFactor: expected int, got True"),
        ("MaximumRetryAttempts", -2, "MaximumRetryAttempts: expected -1 to 10000, got -2"),
        ("MaximumRetryAttempts", "3", "MaximumRetryAttempts: expected int, got '3'"),
        ("MaximumRecordAgeInSeconds", 59, "MaximumRecordAgeInSeconds: expected -1 or 60 to 604800, got 59"),
        ("MaximumRecordAgeInSeconds", 604_801, "expected -1 or 60 to 604800, got 604801"),
        ("BisectBatchOnFunctionError", "yes", "BisectBatchOnFunctionError: expected bool, got 'yes'"),
        ("FunctionResponseTypes", ["Everything"], 'expected [] or ["ReportBatchItemFailures"]'),
        ("BatchSize", 5, "BatchSize has no place here, its one home is the Chalice decorator"),
        ("FilterCriteria", {}, "FilterCriteria has no place here, the local mappings do not honour it"),
        ("StartingPositionTimestamp", 1.5, "expected Unix seconds with StartingPosition AT_TIMESTAMP"),
    ],
)
def test_an_unusable_setting_is_a_sentence(tmp_path: Path, key: str, value: Any, sentence: str) -> None:
    file = functions(tmp_path, {key: value})

    with pytest.raises(ConfigurationError) as error:
        settings.for_kinesis(app_with(), "keep_events", file)

    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"batch_size": 0}, "BatchSize: expected 1 to 10000, got 0"),
        ({"batch_size": 10_001}, "BatchSize: expected 1 to 10000, got 10001"),
        ({"maximum_batching_window_in_seconds": 301}, "expected 0 to 300, got 301"),
        ({"starting_position": "EARLIEST"}, "got 'EARLIEST'"),
        ({"starting_position": "AT_TIMESTAMP"}, "expected Unix seconds with StartingPosition AT_TIMESTAMP"),
    ],
)
def test_an_unusable_decorator_is_a_sentence(
    tmp_path: Path, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        settings.for_kinesis(app_with(arguments), "keep_events", functions(tmp_path))

    assert sentence in str(error.value)


def test_a_large_sqs_batch_needs_a_window(tmp_path: Path) -> None:
    """Recorded from AWS: the sentence of CreateEventSourceMapping."""
    app = app_with(sqs={"batch_size": 11})

    with pytest.raises(ConfigurationError, match="Maximum batch window in seconds must be greater than 0"):
        settings.for_sqs(app, "look_at_dead_letters", functions(tmp_path))


def test_a_handler_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'no_such'.*keep_events, look_at_dead_letters"):
        settings.for_kinesis(app_with(), "no_such", functions(tmp_path))
    with pytest.raises(ConfigurationError, match="'keep_events'"):
        settings.for_sqs(app_with(), "keep_events", functions(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", '{"Resources": 1}', '{"Resources": {"KeepEvents": []}}'])
def test_a_file_of_another_shape_is_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "functions.json"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=r"functions\.json"):
        settings.for_kinesis(app_with(), "keep_events", file)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        settings.for_kinesis(app_with(), "keep_events", tmp_path / "none.json")


def test_a_timeout_beyond_lambdas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Timeout: expected 1 to 900, got 901"):
        settings.for_kinesis(app_with(), "keep_events", functions(tmp_path, Timeout=901))
