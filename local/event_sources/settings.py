"""What the local event source mappings are set to, read from where AWS reads it.

The only place that brings the two homes together: batch size, window, starting position and the SQS
mapping's concurrency stand in Chalice's decorators, everything else in `infra/functions.json`, keyed by the
logical ids that `chalice package` gives.  Ranges are those of the Lambda API reference,
CreateEventSourceMapping; a setting that the local mappings do not honour is refused, not ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalice.app import Chalice, KinesisEventConfig, SQSEventConfig
from chalice.utils import to_cfn_resource_name

from chalicelib.errors import ConfigurationError
from cli.paths import ROOT

FUNCTIONS = ROOT / "infra" / "functions.json"

REPORT_BATCH_ITEM_FAILURES = "ReportBatchItemFailures"
TRIM_HORIZON, LATEST, AT_TIMESTAMP = "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"

_IN_DECORATORS = {"BatchSize", "MaximumBatchingWindowInSeconds", "StartingPosition", "ScalingConfig"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KinesisSettings:
    """A Kinesis event source mapping and the function behind it.  -1 means no limit, as on AWS."""

    batch_size: int = 100
    window_s: int = 0
    starting_position: str = TRIM_HORIZON
    starting_at: float | None = None  # epoch seconds, for AT_TIMESTAMP
    parallelization_factor: int = 1
    retry_attempts: int = -1
    record_age_s: int = -1
    bisect: bool = False
    partial_responses: bool = False
    timeout_s: int = 60
    memory_mb: int = 128

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a value that AWS would refuse."""
        _check_range("BatchSize", self.batch_size, 1, 10_000)
        _check_range("MaximumBatchingWindowInSeconds", self.window_s, 0, 300)
        _check_range("ParallelizationFactor", self.parallelization_factor, 1, 10)
        _check_range("MaximumRetryAttempts", self.retry_attempts, -1, 10_000)
        if self.record_age_s != -1:
            _check_range("MaximumRecordAgeInSeconds", self.record_age_s, 60, 604_800, "-1 or ")
        _check_function(self.timeout_s, self.memory_mb)
        if self.starting_position not in (TRIM_HORIZON, LATEST, AT_TIMESTAMP):
            raise ConfigurationError(
                "StartingPosition: expected TRIM_HORIZON, LATEST or AT_TIMESTAMP, "
                f"got {self.starting_position!r}"
            )
        if (self.starting_position == AT_TIMESTAMP) != (self.starting_at is not None):
            raise ConfigurationError(
                "StartingPositionTimestamp: expected Unix seconds with StartingPosition AT_TIMESTAMP, "
                f"and only then; got {self.starting_at!r} with {self.starting_position}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsSettings:
    """An SQS event source mapping and the function behind it."""

    batch_size: int = 10
    window_s: int = 0
    concurrency: int = 5  # AWS starts with five batches at a time
    partial_responses: bool = False
    timeout_s: int = 60
    memory_mb: int = 128

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a value that AWS would refuse."""
        _check_range("BatchSize", self.batch_size, 1, 10_000)
        _check_range("MaximumBatchingWindowInSeconds", self.window_s, 0, 300)
        _check_range("ScalingConfig.MaximumConcurrency", self.concurrency, 2, 1_000)
        _check_function(self.timeout_s, self.memory_mb)
        if self.batch_size > 10 and self.window_s == 0:
            raise ConfigurationError(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater "
                f"than 10; got BatchSize {self.batch_size}"
            )


def for_kinesis(app: Chalice, function: str, functions: Path = FUNCTIONS) -> KinesisSettings:
    """The settings of the app's Kinesis handler of that name.  Raises ConfigurationError."""
    decorator = _event_source(app, function, KinesisEventConfig)
    logical_id = to_cfn_resource_name(function)
    own, mapping = _properties(functions, logical_id, f"{logical_id}KinesisEventSource")
    with _Keys(functions, f"{logical_id}KinesisEventSource", mapping) as keys:
        mapped: dict[str, Any] = {
            "starting_at": keys.take("StartingPositionTimestamp", (int, float), None),
            "parallelization_factor": keys.take("ParallelizationFactor", int, 1),
            "retry_attempts": keys.take("MaximumRetryAttempts", int, -1),
            "record_age_s": keys.take("MaximumRecordAgeInSeconds", int, -1),
            "bisect": keys.take("BisectBatchOnFunctionError", bool, False),
            "partial_responses": keys.take_response_types(),
        }
        keys.take("DestinationConfig", dict, None)  # the queue is named by who builds the mapping
    return KinesisSettings(
        batch_size=decorator.batch_size,
        window_s=decorator.maximum_batching_window_in_seconds,
        starting_position=decorator.starting_position,
        **mapped,
        **_function(functions, logical_id, own),
    )


def for_sqs(app: Chalice, function: str, functions: Path = FUNCTIONS) -> SqsSettings:
    """The settings of the app's SQS handler of that name.  Raises ConfigurationError."""
    decorator = _event_source(app, function, SQSEventConfig)
    logical_id = to_cfn_resource_name(function)
    own, mapping = _properties(functions, logical_id, f"{logical_id}SqsEventSource")
    with _Keys(functions, f"{logical_id}SqsEventSource", mapping) as keys:
        partial_responses = keys.take_response_types()
    return SqsSettings(
        batch_size=decorator.batch_size,
        window_s=decorator.maximum_batching_window_in_seconds,
        concurrency=5 if decorator.maximum_concurrency is None else decorator.maximum_concurrency,
        partial_responses=partial_responses,
        **_function(functions, logical_id, own),
    )


class _Keys:
    """One object of the file, whose every key must be taken."""

    def __init__(self, path: Path, name: str, values: Mapping[str, Any]) -> None:
        self._where = f"{path.name}, {name}"
        self._left = dict(values)

    def __enter__(self) -> "_Keys":
        return self

    def __exit__(self, failed: type[BaseException] | None, *details: object) -> None:
        if failed is None and self._left:
            key = min(self._left)
            problem = (
                "its one home is the Chalice decorator"
                if key in _IN_DECORATORS
                else "the local mappings do not honour it"
            )
            raise ConfigurationError(f"{self._where}: {key} has no place here, {problem}")

    def take(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        """The key's value, or the default when it is absent."""
        if key not in self._left:
            return default
        value = self._left.pop(key)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:  # not isinstance: JSON's true is no number
            wanted = " or ".join(each.__name__ for each in kinds)
            raise ConfigurationError(f"{self._where}: {key}: expected {wanted}, got {value!r}")
        return value

    def take_response_types(self) -> bool:
        """Whether FunctionResponseTypes asks for batch item failures."""
        value = self.take("FunctionResponseTypes", list, [])
        if value not in ([], [REPORT_BATCH_ITEM_FAILURES]):
            raise ConfigurationError(
                f'{self._where}: FunctionResponseTypes: expected [] or ["{REPORT_BATCH_ITEM_FAILURES}"], '
                f"got {value!r}"
            )
        return bool(value)


def _event_source(app: Chalice, function: str, kind: type) -> Any:
    sources: list[Any] = app.event_sources
    for source in sources:
        if source.name == function and isinstance(source, kind):
            return source
    known = ", ".join(sorted(source.name for source in sources)) or "none"
    raise ConfigurationError(f"no {kind.__name__} handler {function!r} in the app; its handlers: {known}")


def _properties(path: Path, function: str, source: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The properties of a function and of its mapping; an absent one has none."""
    try:
        document = json.loads(path.read_text())
        own = document["Resources"].get(function, {}).get("Properties", {})
        mapping = own.get("Events", {}).get(source, {}).get("Properties", {})
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path}: {exc.strerror}") from exc
    except (ValueError, KeyError, AttributeError, TypeError) as exc:
        raise ConfigurationError(
            f"{path.name}: expected Resources, Properties and Events around {source}: {exc!r}"
        ) from exc
    if not isinstance(own, dict) or not isinstance(mapping, dict):
        raise ConfigurationError(f"{path.name}: the properties of {function} and {source} must be objects")
    return own, mapping


def _function(path: Path, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    keys = _Keys(path, name, own)
    # SAM's own default for the time-out is 3 s and for memory 128 MB, Chalice's template says 60 and 128.
    return {"timeout_s": keys.take("Timeout", int, 60), "memory_mb": keys.take("MemorySize", int, 128)}


def _check_function(timeout_s: int, memory_mb: int) -> None:
    _check_range("Timeout", timeout_s, 1, 900)
    _check_range("MemorySize", memory_mb, 128, 10_240)


def _check_range(name: str, value: int, lowest: int, highest: int, otherwise: str = "") -> None:
    if not lowest <= value <= highest:
        raise ConfigurationError(f"{name}: expected {otherwise}{lowest} to {highest}, got {value}")
