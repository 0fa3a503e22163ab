"""The typed reader of infra/functions.json: what it takes, and the sentences with which it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.errors import ConfigurationError
from infra import functions


def written(path: Path, source: dict[str, Any] | None = None, **function: Any) -> Path:
    """A functions.json whose ingest function and mapping have these properties."""
    file = path / "functions.json"
    events = {"ProcessLifecycleKinesisEventSource": {"Properties": source or {}}}
    resources = {"ProcessLifecycle": {"Properties": {**function, "Events": events}}}
    file.write_text(json.dumps({"Resources": resources}))
    return file


def test_the_file_is_read_whole() -> None:
    found = functions.read()

    assert found.ingest.source.bisect_batch_on_function_error
    assert found.ingest.source.destination_config is not None
    assert found.triage.source.function_response_types == ["ReportBatchItemFailures"]
    raw = functions.properties("prod")
    assert found.ingest.timeout == raw["ProcessLifecycle"]["Timeout"]
    assert found.triage.memory_size == raw["TriageDeadLetters"]["MemorySize"]
    assert found.resources.api_handler.properties.tracing == raw["APIHandler"]["Tracing"]


def test_what_the_file_does_not_say_has_awss_defaults(tmp_path: Path) -> None:
    """Recorded from AWS (test_create_kinesis_event_source_mapping): 1, -1, -1, false, []."""
    source = functions.read(written(tmp_path)).ingest.source

    assert source.parallelization_factor == 1
    assert (source.maximum_retry_attempts, source.maximum_record_age_in_seconds) == (-1, -1)
    assert (source.bisect_batch_on_function_error, source.function_response_types) == (False, [])


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("ParallelizationFactor", 11, "Expected `int` <= 10"),
        ("ParallelizationFactor", True, "Expected `int`, got `bool`"),
        ("MaximumRetryAttempts", -2, "Expected `int` >= -1"),
        ("MaximumRetryAttempts", "3", "Expected `int`, got `str`"),
        ("MaximumRecordAgeInSeconds", 59, "expected -1 or 60 to 604800, got 59"),
        ("MaximumRecordAgeInSeconds", 604_801, "Expected `int` <= 604800"),
        ("BisectBatchOnFunctionError", "yes", "Expected `bool`, got `str`"),
        ("FunctionResponseTypes", ["Everything"], "Invalid enum value 'Everything'"),
        ("FunctionResponseTypes", ["ReportBatchItemFailures"] * 2, "Expected `array` of length <= 1"),
        ("BatchSize", 5, "unknown field `BatchSize`"),
        ("FilterCriteria", {}, "unknown field `FilterCriteria`"),
    ],
)
def test_an_unusable_setting_is_named_with_its_place(
    tmp_path: Path, key: str, value: Any, sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        functions.read(written(tmp_path, {key: value}))

    assert str(error.value).startswith("functions.json: ")
    assert sentence in str(error.value)
    assert key in str(error.value)
    assert ".ProcessLifecycleKinesisEventSource." in str(error.value)


def test_a_setting_with_no_place_here_says_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"; its one home is the decorator in app\.py$"):
        functions.read(written(tmp_path, {"MaximumBatchingWindowInSeconds": 5}))
    with pytest.raises(ConfigurationError, match=r"; the settings that can stand there are those of infra"):
        functions.read(written(tmp_path, ReservedConcurrentExecutions=1))


def test_a_timeout_beyond_lambdas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Expected `int` <= 900 - at .*\.Timeout"):
        functions.read(written(tmp_path, Timeout=901))


@pytest.mark.parametrize("text", ["", "[]", '{"Resources": 1}', '{"Resources": {"ProcessLifecycle": []}}'])
def test_a_file_of_another_shape_is_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "functions.json"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=r"functions\.json"):
        functions.read(file)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        functions.read(tmp_path / "none.json")
