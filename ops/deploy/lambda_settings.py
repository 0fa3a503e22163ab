"""Functions and event source mappings on Lambda, compared with `infra/functions.json` and corrected.

The order loses nothing: ReportBatchItemFailures is enabled on a mapping first, and only when it is in force
is the function told to report failures.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cli.exits import EXIT_FAILED
from cli.paths import ROOT
from infra import functions
from ops.deploy import policies
from ops.output import CommandError

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient


_POLL_S = 1.0
#: A mapping may take a minute to change, says Lambda.
_PATIENCE_S = 300.0

#: Logical ids of functions.json, and Chalice's names of the functions.
FUNCTIONS: dict[str, policies.Function] = {
    "ProcessLifecycle": "process_lifecycle",
    "TriageDeadLetters": "triage_dead_letters",
    "APIHandler": "api_handler",
}


class NotDeployedError(CommandError):
    """A function or its mapping does not exist."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; deploy first: docs/deploying.md", EXIT_FAILED)


class Difference(msgspec.Struct, frozen=True):
    """A setting that differs from functions.json."""

    function: str
    setting: str
    found: Any
    wanted: Any


def losing_function(differences: list[Difference]) -> str:
    """Return the function whose mapping takes its reports for success, which loses records; or nothing."""
    reporting = {each.function for each in differences if each.setting == PARTIAL_RESPONSES}
    for each in differences:
        if each.setting == "FunctionResponseTypes" and each.function not in reporting:
            return each.function
    return ""


class LambdaSettings:
    """The functions and mappings of a stage on Lambda.  Raises NotDeployedError where one is missing."""

    def __init__(
        self,
        lambda_: "LambdaClient",
        stage: str,
        project: Path = ROOT,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lambda = lambda_
        self._stage = stage
        self._clock = clock
        self._sleep = sleep
        self._wanted = functions.properties(stage)
        self._uuids = _recorded(stage, project)

    def differences(self) -> list[Difference]:
        """Return every setting that differs from functions.json, mappings before their functions."""
        return [
            difference
            for logical_id, function in FUNCTIONS.items()
            for difference in (
                *self._of_mapping(logical_id, function),
                *self._of_function(logical_id, function),
            )
        ]

    def apply(self, differences: list[Difference]) -> None:
        """Correct what differs and wait until it is in force: each mapping first, then its function."""
        for function in FUNCTIONS.values():
            settings_ = {each.setting: each.wanted for each in differences if each.function == function}
            of_function = {key: value for key, value in settings_.items() if key in _OF_FUNCTION}
            of_mapping = {key: value for key, value in settings_.items() if key not in _OF_FUNCTION}
            if of_mapping:
                uuid = self.mapping(function)["UUID"]
                if of_mapping.pop("State", None):
                    of_mapping["Enabled"] = True
                self._lambda.update_event_source_mapping(UUID=uuid, **of_mapping)
                self._wait_for(uuid, function)
            if of_function:
                self._update_function(function, of_function)

    def mapping(self, function: policies.Function) -> dict[str, Any]:
        """Return a function's mapping as Lambda describes it.  Raises CommandError when there are several."""
        uuid = self._uuids.get(function)
        if uuid is None:  # not deployed from here: look for it by the function
            name = policies.function_name(function, self._stage)
            found = self._lambda.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
            if not found:
                raise NotDeployedError(f"there is no event source mapping of {name}")
            if len(found) > 1:
                uuids = " or ".join(each["UUID"] for each in found)
                raise CommandError(
                    f"{name} has {len(found)} event source mappings, expected one; delete all but one: "
                    f"aws lambda delete-event-source-mapping --uuid {uuids}",
                    EXIT_FAILED,
                )
            uuid = found[0]["UUID"]
        try:
            return dict(self._lambda.get_event_source_mapping(UUID=uuid))
        except self._lambda.exceptions.ResourceNotFoundException as exc:
            raise NotDeployedError(f"the event source mapping of {function} ({uuid}) is gone") from exc

    def latest_result(self, function: policies.Function) -> str:
        """Return what Lambda says is wrong with the mapping's latest batch; empty when nothing is."""
        result: str = self.mapping(function).get("LastProcessingResult") or ""
        return "" if result.startswith(("OK", "No records processed")) else result

    def _of_mapping(self, logical_id: str, function: policies.Function) -> Iterator[Difference]:
        events = self._wanted[logical_id].get("Events")
        if events is None:
            return
        (source,) = events.values()
        found = self.mapping(function)
        for setting, value in {**functions.decorated(function), **source["Properties"]}.items():
            wanted = _resolved(value, found["EventSourceArn"])
            if found.get(setting) != wanted:
                yield Difference(function, setting, found.get(setting), wanted)
        if found["State"] not in ("Enabled", "Enabling", "Updating", "Creating"):
            yield Difference(function, "State", found["State"], "Enabled")

    def _of_function(self, logical_id: str, function: policies.Function) -> Iterator[Difference]:
        found = self.configuration(function)
        for setting, read in _OF_FUNCTION.items():
            wanted = read(_as_lambda_says(self._wanted[logical_id]))
            if wanted is not None and read(found) != wanted:
                yield Difference(function, setting, read(found), wanted)

    def configuration(self, function: policies.Function) -> dict[str, Any]:
        """Return a function as Lambda describes it."""
        name = policies.function_name(function, self._stage)
        try:
            return dict(self._lambda.get_function_configuration(FunctionName=name))
        except self._lambda.exceptions.ResourceNotFoundException as exc:
            raise NotDeployedError(f"there is no function {name}") from exc

    def _update_function(self, function: policies.Function, changes: dict[str, Any]) -> None:
        name = policies.function_name(function, self._stage)
        update: dict[str, Any] = {key: changes[key] for key in ("Timeout", "MemorySize") if key in changes}
        if "Tracing" in changes:
            update["TracingConfig"] = {"Mode": changes["Tracing"]}
        if PARTIAL_RESPONSES in changes:
            variables = self.configuration(function).get("Environment", {}).get("Variables", {})
            update["Environment"] = {
                "Variables": {**variables, PARTIAL_RESPONSES: changes[PARTIAL_RESPONSES]}
            }
        self._lambda.update_function_configuration(FunctionName=name, **update)
        self._lambda.get_waiter("function_updated_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )

    def _wait_for(self, uuid: str, function: str) -> None:
        deadline = self._clock() + _PATIENCE_S
        while (state := self._lambda.get_event_source_mapping(UUID=uuid)["State"]) != "Enabled":
            if self._clock() > deadline:
                raise CommandError(
                    f"the mapping of {function} is still {state}; try again later", EXIT_FAILED
                )
            self._sleep(_POLL_S)


PARTIAL_RESPONSES = "LIFECYCLE_PARTIAL_RESPONSES"

#: Settings of a function, and how to read them from Lambda's description of one.
_OF_FUNCTION: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Timeout": lambda described: described.get("Timeout"),
    "MemorySize": lambda described: described.get("MemorySize"),
    "Tracing": lambda described: described.get("TracingConfig", {}).get("Mode"),
    PARTIAL_RESPONSES: lambda described: (
        described.get("Environment", {}).get("Variables", {}).get(PARTIAL_RESPONSES)
    ),
}


def _as_lambda_says(properties: dict[str, Any]) -> dict[str, Any]:
    """Return a function's properties, which are SAM's, in the terms of Lambda's API."""
    return {**properties, "TracingConfig": {"Mode": properties.get("Tracing")}}


def _recorded(stage: str, project: Path) -> dict[str, str]:
    """Return the mappings that `chalice deploy` has recorded, by function."""
    path = project / ".chalice" / "deployed" / f"{stage}.json"
    if not path.exists():
        return {}
    resources = json.loads(path.read_text())["resources"]
    return {
        re.sub(r"-(kinesis|sqs)-event-source$", "", resource["name"]): resource["event_uuid"]
        for resource in resources
        if "event_uuid" in resource
    }


def _resolved(value: Any, arn: str) -> Any:
    """Return a value of functions.json, with CloudFormation's pseudo parameters filled in from an ARN."""
    if isinstance(value, dict):
        if value.keys() == {"Fn::Sub"}:
            _, partition, _, region, account, _ = arn.split(":", 5)
            text: str = value["Fn::Sub"]
            for name, what in (("Partition", partition), ("Region", region), ("AccountId", account)):
                text = text.replace(f"${{AWS::{name}}}", what)
            return text
        return {key: _resolved(each, arn) for key, each in value.items()}
    return value
