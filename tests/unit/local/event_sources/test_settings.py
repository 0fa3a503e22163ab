"""What the local mappings are set to, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.errors import ConfigurationError
from local.event_sources.settings import KinesisSettings, SqsSettings, kinesis_settings, sqs_settings


def app_with(kinesis: dict[str, Any] | None = None, sqs: dict[str, Any] | None = None) -> Chalice:
    app = Chalice(app_name="test")

    @app.on_kinesis_record(stream="s", **(kinesis or {}))
    def process_lifecycle(event: Any) -> None:
        """A handler."""

    @app.on_sqs_message(queue="q", **(sqs or {}))
    def triage_dead_letters(event: Any) -> None:
        """Another."""

    return app


def functions(
    path: Path, kinesis: dict[str, Any] | None = None, sqs: dict[str, Any] | None = None, **function: Any
) -> Path:
    """A functions.json whose two functions and mappings have these properties."""
    file = path / "functions.json"
    sources = (
        ("ProcessLifecycle", "KinesisEventSource", kinesis),
        ("TriageDeadLetters", "SqsEventSource", sqs),
    )
    resources = {
        name: {"Properties": {**function, "Events": {f"{name}{kind}": {"Properties": source or {}}}}}
        for name, kind, source in sources
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

    assert kinesis_settings(app, file) == KinesisSettings(
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
    assert kinesis_settings(app_with(), functions(tmp_path)) == KinesisSettings(
        batch_size=100,
        window_s=0,
        starting_position="LATEST",  # Chalice's
        parallelization_factor=1,
        retry_attempts=-1,
        record_age_s=-1,
        bisect=False,
        partial_responses=False,
    )


def test_the_sqs_mapping_reads_the_same_two_homes(tmp_path: Path) -> None:
    app = app_with(sqs={"batch_size": 20, "maximum_batching_window_in_seconds": 1, "maximum_concurrency": 7})
    file = functions(tmp_path, sqs={"FunctionResponseTypes": ["ReportBatchItemFailures"]}, Timeout=30)

    assert sqs_settings(app, file) == SqsSettings(
        batch_size=20, window_s=1, concurrency=7, partial_responses=True, timeout_s=30, memory_mb=128
    )


def test_the_apps_own_handlers_have_settings() -> None:
    from app import app

    found = kinesis_settings(app)

    assert found.bisect
    assert found.partial_responses
    assert found.starting_position == "TRIM_HORIZON"
    assert sqs_settings(app).partial_responses


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"batch_size": 0}, "Expected `int` >= 1 - at `$.BatchSize`"),
        ({"batch_size": 10_001}, "Expected `int` <= 10000 - at `$.BatchSize`"),
        ({"maximum_batching_window_in_seconds": 301}, "<= 300 - at `$.MaximumBatchingWindowInSeconds`"),
        ({"starting_position": "EARLIEST"}, "Invalid enum value 'EARLIEST' - at `$.StartingPosition`"),
        ({"starting_position": "AT_TIMESTAMP"}, "expected Unix seconds with StartingPosition AT_TIMESTAMP"),
    ],
)
def test_an_unusable_decorator_is_a_sentence(
    tmp_path: Path, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        kinesis_settings(app_with(arguments), functions(tmp_path))

    assert sentence in str(error.value)


def test_a_starting_time_needs_its_starting_position(tmp_path: Path) -> None:
    file = functions(tmp_path, {"StartingPositionTimestamp": 1.5})

    with pytest.raises(ConfigurationError, match=r"and only then; got 1\.5 with LATEST"):
        kinesis_settings(app_with(), file)


def test_an_unusable_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Expected `int` <= 10 - at .*\.ParallelizationFactor"):
        kinesis_settings(app_with(), functions(tmp_path, {"ParallelizationFactor": 11}))


def test_a_large_sqs_batch_needs_a_window(tmp_path: Path) -> None:
    """Recorded from AWS: the sentence of CreateEventSourceMapping."""
    app = app_with(sqs={"batch_size": 11})

    with pytest.raises(ConfigurationError, match="Maximum batch window in seconds must be greater than 0"):
        sqs_settings(app, functions(tmp_path))


def test_the_sqs_mapping_takes_at_least_two_batches_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r">= 2 - at `\$\.MaximumConcurrency`"):
        sqs_settings(app_with(sqs={"maximum_concurrency": 1}), functions(tmp_path))


def test_a_handler_that_is_not_there_is_named_with_those_that_are() -> None:
    app = Chalice(app_name="test")

    @app.on_sqs_message(queue="q")
    def process_lifecycle(event: Any) -> None:
        """A handler of another kind of source."""

    with pytest.raises(ConfigurationError, match=r"'process_lifecycle' in the app; its handlers: process_l"):
        kinesis_settings(app)
    with pytest.raises(ConfigurationError, match="'triage_dead_letters'"):
        sqs_settings(app)
