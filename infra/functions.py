"""Reads `infra/functions.json`: settings of functions and mappings that Chalice cannot express.

`read` gives the file as typed values, for the laptop and for planning; `rendered` and `properties` give it as
it is merged into the template of a stage.  `${stage}` stands where a stage's name belongs, inside `Fn::Sub`
too: unrendered, CloudFormation refuses the template, so that no stage points at another's queue by accident.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from chalicelib.errors import ConfigurationError
from cli.paths import ROOT

FUNCTIONS = ROOT / "infra" / "functions.json"

_STAGE = "${stage}"

#: Settings of a mapping that Chalice's decorators have, and so nothing else.
_IN_DECORATORS = {"BatchSize", "MaximumBatchingWindowInSeconds", "StartingPosition", "ScalingConfig"}

T = TypeVar("T")


class _Object(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """An object of the file.  A key that no field stands for is refused, not ignored."""


class Resource(_Object, Generic[T], frozen=True, kw_only=True):
    """A resource of the template, or an event source of a function."""

    properties: T


class OnFailure(_Object, frozen=True, kw_only=True):
    """Where the pointers to discarded batches go."""

    destination: str | dict[str, str]


class DestinationConfig(_Object, frozen=True, kw_only=True):
    """The destinations of a Kinesis mapping."""

    on_failure: OnFailure


class Source(_Object, frozen=True, kw_only=True):
    """An event source mapping.

    Ranges and defaults are those of the Lambda API reference, CreateEventSourceMapping.
    """

    function_response_types: Annotated[list[Literal["ReportBatchItemFailures"]], Meta(max_length=1)] = []


class KinesisSource(Source, frozen=True, kw_only=True):
    """A Kinesis event source mapping; -1 means no limit."""

    bisect_batch_on_function_error: bool = False
    maximum_retry_attempts: Annotated[int, Meta(ge=-1, le=10_000)] = -1
    maximum_record_age_in_seconds: Annotated[int, Meta(ge=-1, le=604_800)] = -1
    parallelization_factor: Annotated[int, Meta(ge=1, le=10)] = 1
    starting_position_timestamp: float | None = None  # epoch seconds
    destination_config: DestinationConfig | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for an age below the least that Lambda takes."""
        if -1 < self.maximum_record_age_in_seconds < 60:
            raise ValueError(
                "MaximumRecordAgeInSeconds: expected -1 or 60 to 604800, "
                f"got {self.maximum_record_age_in_seconds}"
            )


class IngestSources(_Object, frozen=True, kw_only=True):
    """The event sources of process_lifecycle."""

    stream: Resource[KinesisSource] = msgspec.field(
        default=Resource(properties=KinesisSource()), name="ProcessLifecycleKinesisEventSource"
    )


class TriageSources(_Object, frozen=True, kw_only=True):
    """The event sources of triage_dead_letters."""

    queue: Resource[Source] = msgspec.field(
        default=Resource(properties=Source()), name="TriageDeadLettersSqsEventSource"
    )


class Environment(_Object, frozen=True, kw_only=True):
    """The environment of a function, beside that of its stage."""

    variables: dict[str, str] = {}


class Function(_Object, frozen=True, kw_only=True):
    """A function.  Time-out and memory default to what Chalice's template says."""

    function_name: str = ""
    timeout: Annotated[int, Meta(ge=1, le=900)] = 60  # seconds
    memory_size: Annotated[int, Meta(ge=128, le=10_240)] = 128  # MB
    tracing: Literal["Active", "PassThrough"] = "PassThrough"
    environment: Environment = Environment()


class IngestFunction(Function, frozen=True, kw_only=True):
    """process_lifecycle and its mapping."""

    events: IngestSources = IngestSources()

    @property
    def source(self) -> KinesisSource:
        """Its Kinesis mapping."""
        return self.events.stream.properties


class TriageFunction(Function, frozen=True, kw_only=True):
    """triage_dead_letters and its mapping."""

    events: TriageSources = TriageSources()

    @property
    def source(self) -> Source:
        """Its SQS mapping."""
        return self.events.queue.properties


class RestApi(_Object, frozen=True, kw_only=True):
    """The API in front of api_handler."""

    tracing_enabled: bool = False


class Resources(_Object, frozen=True, kw_only=True):
    """What the file has settings for; a resource that it does not name has the defaults."""

    process_lifecycle: Resource[IngestFunction] = Resource(properties=IngestFunction())
    triage_dead_letters: Resource[TriageFunction] = Resource(properties=TriageFunction())
    api_handler: Resource[Function] = msgspec.field(
        default=Resource(properties=Function()), name="APIHandler"
    )
    rest_api: Resource[RestApi] = msgspec.field(default=Resource(properties=RestApi()), name="RestAPI")


class Functions(_Object, frozen=True, kw_only=True):
    """The whole file."""

    resources: Resources

    @property
    def ingest(self) -> IngestFunction:
        """process_lifecycle."""
        return self.resources.process_lifecycle.properties

    @property
    def triage(self) -> TriageFunction:
        """triage_dead_letters."""
        return self.resources.triage_dead_letters.properties


def read(path: Path = FUNCTIONS) -> Functions:
    """Return the file's settings.  Raises ConfigurationError for what Lambda or this project refuses."""
    try:
        return msgspec.json.decode(_text(path), type=Functions)
    except msgspec.ValidationError as exc:
        remedy = ""
        if unknown := re.search(r"unknown field `(\w+)`", str(exc)):
            remedy = (
                "; its one home is the decorator in app.py"
                if unknown[1] in _IN_DECORATORS
                else "; the settings that can stand there are those of infra/functions.py"
            )
        raise ConfigurationError(f"{path.name}: {exc}{remedy}") from exc


def rendered(stage: str, path: Path = FUNCTIONS) -> str:
    """The file's text for a stage, ready for `chalice package --merge-template`.

    Raises ConfigurationError when it is not there or no JSON.
    """
    return _text(path).replace(_STAGE, stage)


def properties(stage: str, path: Path = FUNCTIONS) -> dict[str, dict[str, Any]]:
    """The properties of each resource the file names, by logical id."""
    resources = json.loads(rendered(stage, path))["Resources"]
    return {name: resource["Properties"] for name, resource in resources.items()}


def decorated(function: str) -> dict[str, Any]:
    """What the decorator of an event handler in app.py says, in the words of Lambda's API."""
    from app import app

    sources: list[Any] = app.event_sources
    (source,) = [each for each in sources if each.name == function]
    said = {
        "BatchSize": source.batch_size,
        "MaximumBatchingWindowInSeconds": source.maximum_batching_window_in_seconds,
    }
    if getattr(source, "maximum_concurrency", None) is not None:
        said["ScalingConfig"] = {"MaximumConcurrency": source.maximum_concurrency}
    return said


def _text(path: Path) -> str:
    try:
        text = path.read_text()
        json.loads(text)
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(f"{path.name} is not JSON: {exc}") from exc
    return text
