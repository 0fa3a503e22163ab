"""The settings of the local event source mappings, read from where AWS reads them.

Batch size, window, starting position and the SQS mapping's concurrency stand in Chalice's decorators, the
rest in `infra/functions.json`.  Ranges are those of the Lambda API reference, CreateEventSourceMapping.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from chalice.app import Chalice, KinesisEventConfig, SQSEventConfig
from msgspec import Meta, field

from chalicelib.errors import ConfigurationError
from infra import functions
from infra.functions import FUNCTIONS

BatchSize = Annotated[int, Meta(ge=1, le=10_000)]
WindowSeconds = Annotated[int, Meta(ge=0, le=300)]

T = TypeVar("T")


class KinesisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A Kinesis event source mapping and the function behind it.  -1 means no limit, as on AWS."""

    batch_size: BatchSize = field(default=100, name="BatchSize")
    window_s: WindowSeconds = field(default=0, name="MaximumBatchingWindowInSeconds")
    starting_position: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] = field(
        default="TRIM_HORIZON", name="StartingPosition"
    )
    starting_at: float | None = None  # epoch seconds, for AT_TIMESTAMP
    parallelization_factor: int = 1
    retry_attempts: int = -1
    record_age_s: int = -1
    bisect: bool = False
    partial_responses: bool = False
    timeout_s: int = 60
    memory_mb: int = 128

    def __post_init__(self) -> None:
        """Raises ValueError for a starting time where none belongs, or none where one does."""
        if (self.starting_position == "AT_TIMESTAMP") != (self.starting_at is not None):
            raise ValueError(
                "StartingPositionTimestamp: expected Unix seconds with StartingPosition AT_TIMESTAMP, "
                f"and only then; got {self.starting_at!r} with {self.starting_position}"
            )


class SqsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An SQS event source mapping and the function behind it."""

    batch_size: BatchSize = field(default=10, name="BatchSize")
    window_s: WindowSeconds = field(default=0, name="MaximumBatchingWindowInSeconds")
    # AWS starts with five batches at a time.
    concurrency: Annotated[int, Meta(ge=2, le=1_000)] = field(default=5, name="MaximumConcurrency")
    partial_responses: bool = False
    timeout_s: int = 60
    memory_mb: int = 128

    def __post_init__(self) -> None:
        """Raises ValueError for a large batch without a window."""
        if self.batch_size > 10 and self.window_s == 0:
            raise ValueError(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater "
                f"than 10; got BatchSize {self.batch_size}"
            )


def kinesis_settings(app: Chalice, path: Path = FUNCTIONS) -> KinesisSettings:
    """Return the settings of process_lifecycle and its mapping.  Raises ConfigurationError."""
    decorator = _decorator(app, "process_lifecycle", KinesisEventConfig)
    function = functions.read(path).ingest
    source = function.source
    return _checked(
        {
            "BatchSize": decorator.batch_size,
            "MaximumBatchingWindowInSeconds": decorator.maximum_batching_window_in_seconds,
            "StartingPosition": decorator.starting_position,
            "starting_at": source.starting_position_timestamp,
            "parallelization_factor": source.parallelization_factor,
            "retry_attempts": source.maximum_retry_attempts,
            "record_age_s": source.maximum_record_age_in_seconds,
            "bisect": source.bisect_batch_on_function_error,
            "partial_responses": bool(source.function_response_types),
            "timeout_s": function.timeout,
            "memory_mb": function.memory_size,
        },
        KinesisSettings,
    )


def sqs_settings(app: Chalice, path: Path = FUNCTIONS) -> SqsSettings:
    """Return the settings of triage_dead_letters and its mapping.  Raises ConfigurationError."""
    decorator = _decorator(app, "triage_dead_letters", SQSEventConfig)
    function = functions.read(path).triage
    concurrency = decorator.maximum_concurrency
    return _checked(
        {
            "BatchSize": decorator.batch_size,
            "MaximumBatchingWindowInSeconds": decorator.maximum_batching_window_in_seconds,
            **({} if concurrency is None else {"MaximumConcurrency": concurrency}),
            "partial_responses": bool(function.source.function_response_types),
            "timeout_s": function.timeout,
            "memory_mb": function.memory_size,
        },
        SqsSettings,
    )


def _decorator(app: Chalice, function: str, kind: type) -> Any:
    sources: list[Any] = app.event_sources
    for source in sources:
        if source.name == function and isinstance(source, kind):
            return source
    known = ", ".join(sorted(source.name for source in sources)) or "none"
    raise ConfigurationError(f"no {kind.__name__} handler {function!r} in the app; its handlers: {known}")


def _checked(settings: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(settings, type=kind)
    except msgspec.ValidationError as exc:
        raise ConfigurationError(f"event source mapping: {exc}") from exc
