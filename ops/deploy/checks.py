"""Whether a deployed stage is ready for production, check by check.

Each check is one question with one fix.  What cannot be read (inventory.py) fails the checks that need it,
with the reason, and no others.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import settings
from chalicelib.errors import LifecycleError
from infra import functions, stages, template
from ops import clients, void_markers
from ops.deploy import epc_spellings, lambda_settings
from ops.deploy.inventory import PROCESS, TRIAGE, StageInventory, listed
from ops.output import CommandError


class Finding(msgspec.Struct, frozen=True):
    """The answer to one check: what was found, and the fix for a failure."""

    check: str
    ok: bool
    found: str
    fix: str


_ARM = "python -m ops mapping apply --stage {stage}"
_STACK = "python -m ops stack apply --stage {stage}"
_DEPLOY = "chalice deploy --stage {stage}, then python -m ops mapping apply --stage {stage}; or the package"

Check = Callable[[StageInventory], tuple[bool, str]]
_CHECKS: list[tuple[str, str, Check]] = []


def findings(stage: str) -> Iterator[Finding]:
    """Run every check on the stage, in order."""
    inventory = StageInventory(stage)
    for name, fix, check in _CHECKS:
        try:
            ok, found = check(inventory)
        except lambda_settings.NotDeployedError as exc:
            ok, found, fix = False, f"cannot be read: {exc}", _DEPLOY
        except (ClientError, BotoCoreError, LifecycleError, CommandError, KeyError) as exc:
            # Not there, not allowed, not answering: a finding like any other, and the rest goes on.
            ok, found = False, f"cannot be read: {exc}"
        yield Finding(name, ok, found, fix.format(stage=stage))


def _check(name: str, fix: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        _CHECKS.append((name, fix, check))
        return check

    return add


# These two first: fixing in the order of the report has to begin with what is missing.
@_check("stream, tables and queues are there", _STACK)
def _data(inventory: StageInventory) -> tuple[bool, str]:
    described = [inventory.stream["StreamName"], *inventory.tables, *inventory.queues]
    return True, ", ".join(described)


@_check("functions and their event source mappings are there", _DEPLOY)
def _deployed(inventory: StageInventory) -> tuple[bool, str]:
    sources = [inventory.ingest_mapping["EventSourceArn"], inventory.triage_mapping["EventSourceArn"]]
    return True, ", ".join([*inventory.functions, *(arn.rsplit(":", 1)[-1] for arn in sources)])


@_check("event source mappings are enabled", _ARM)
def _enabled(inventory: StageInventory) -> tuple[bool, str]:
    states = {PROCESS: inventory.ingest_mapping["State"], TRIAGE: inventory.triage_mapping["State"]}
    return set(states.values()) == {"Enabled"}, _list(states)


@_check("a failing batch is halved", _ARM)
def _bisect(inventory: StageInventory) -> tuple[bool, str]:
    value = inventory.ingest_mapping.get("BisectBatchOnFunctionError")
    return value is True, f"BisectBatchOnFunctionError is {json.dumps(value)}"


@_check("a failing batch is not tried for ever", _ARM)
def _retries(inventory: StageInventory) -> tuple[bool, str]:
    attempts = inventory.ingest_mapping.get("MaximumRetryAttempts", -1)
    return attempts >= 0, f"MaximumRetryAttempts is {attempts}"


@_check("records are given up before the stream forgets them", _ARM)
def _age(inventory: StageInventory) -> tuple[bool, str]:
    age_s = inventory.ingest_mapping.get("MaximumRecordAgeInSeconds", -1)
    retention_s = inventory.stream["RetentionPeriodHours"] * 3600
    return 0 < age_s < retention_s, f"at most {age_s} s old, the stream keeps {retention_s} s"


@_check("what is given up goes to a queue that is there", _ARM)
def _destination(inventory: StageInventory) -> tuple[bool, str]:
    arn = inventory.ingest_mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
    name = arn.rsplit(":", 1)[-1]
    if name != settings.dead_letter_queue():
        return False, f"the destination is {arn or 'not set'}"
    return inventory.queue(name)["QueueArn"] == arn, arn


@_check("partial failures are reported and listened to", _ARM)
def _partial(inventory: StageInventory) -> tuple[bool, str]:
    found = {}
    for function, described in ((PROCESS, inventory.ingest_mapping), (TRIAGE, inventory.triage_mapping)):
        variables = inventory.functions[function].get("Environment", {}).get("Variables", {})
        listens = described.get("FunctionResponseTypes") == ["ReportBatchItemFailures"]
        reports = variables.get(lambda_settings.PARTIAL_RESPONSES) == "on"
        found[function] = {
            (True, True): "yes",
            (True, False): "listened to, not reported",
            (False, True): "REPORTED AND NOT LISTENED TO: records are being lost",
            (False, False): "no",
        }[listens, reports]
    return set(found.values()) == {"yes"}, _list(found)


@_check("a dead letter stays hidden for six of triage's time-outs", _STACK)
def _visibility(inventory: StageInventory) -> tuple[bool, str]:
    hidden_s = int(inventory.queues[settings.dead_letter_queue()]["VisibilityTimeout"])
    timeout_s = inventory.functions[TRIAGE]["Timeout"]
    return hidden_s >= 6 * timeout_s, f"hidden for {hidden_s} s, the time-out is {timeout_s} s"


@_check("the stream outlasts the longest way through the dead-letter queue", _STACK)
def _retention(inventory: StageInventory) -> tuple[bool, str]:
    queue = inventory.queues[settings.dead_letter_queue()]
    receives = int(json.loads(queue["RedrivePolicy"])["maxReceiveCount"])
    age_s = inventory.ingest_mapping.get("MaximumRecordAgeInSeconds", -1)
    retention_s = inventory.stream["RetentionPeriodHours"] * 3600
    worst_s = age_s + receives * int(queue["VisibilityTimeout"])
    found = (
        f"given up after {age_s} s and tried {receives} times: {worst_s} s; the stream keeps {retention_s} s"
    )
    return age_s > 0 and worst_s < retention_s, found


@_check("dead letters and parked ones are kept longer than their records", _STACK)
def _queue_retention(inventory: StageInventory) -> tuple[bool, str]:
    retention_s = inventory.stream["RetentionPeriodHours"] * 3600
    kept = {name: int(queue["MessageRetentionPeriod"]) for name, queue in inventory.queues.items()}
    return min(kept.values()) >= retention_s, f"{_list(kept)} s; the stream keeps {retention_s} s"


@_check("stream, tables and queues are encrypted", _STACK)
def _encrypted(inventory: StageInventory) -> tuple[bool, str]:
    plain = [] if inventory.stream.get("EncryptionType") == "KMS" else [settings.stream_name()]
    plain += [
        name
        for name, table in inventory.tables.items()
        if table.get("SSEDescription", {}).get("Status") != "ENABLED"
    ]
    plain += [
        name
        for name, queue in inventory.queues.items()
        if queue.get("SqsManagedSseEnabled") != "true" and not queue.get("KmsMasterKeyId")
    ]
    return not plain, f"not encrypted: {', '.join(plain)}" if plain else "all"


@_check("tables can be restored to any second of the last 35 days", _STACK)
def _recovery(inventory: StageInventory) -> tuple[bool, str]:
    states = {
        name: table["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"][
            "PointInTimeRecoveryStatus"
        ]
        for name, table in inventory.tables.items()
    }
    return set(states.values()) == {"ENABLED"}, _list(states)


@_check("tables refuse to be deleted, where their data is to be kept", _STACK)
def _protected(inventory: StageInventory) -> tuple[bool, str]:
    if stages.read(inventory.stage).parameters.get("Data") == "disposable":
        return True, "infra/stages.json calls this stage's data disposable"
    protected = {
        name: bool(table.get("DeletionProtectionEnabled")) for name, table in inventory.tables.items()
    }
    return all(protected.values()), _list(protected)


@_check("invocations are traced", _ARM)
def _traced(inventory: StageInventory) -> tuple[bool, str]:
    modes = {
        function: described.get("TracingConfig", {}).get("Mode", "PassThrough")
        for function, described in inventory.functions.items()
    }
    return set(modes.values()) == {"Active"}, _list(modes)


@_check("functions have the time and memory that infra/functions.json says", _ARM)
def _sized(inventory: StageInventory) -> tuple[bool, str]:
    wanted = functions.properties(inventory.stage)
    wrong = [
        f"{function} {setting} {inventory.functions[function][setting]}, expected {wanted[id_][setting]}"
        for id_, function in lambda_settings.FUNCTIONS.items()
        for setting in ("Timeout", "MemorySize")
        if inventory.functions[function][setting] != wanted[id_][setting]
    ]
    return not wrong, "; ".join(wrong) or "all"


@_check("policies name their actions and resources", _DEPLOY)
def _policies(inventory: StageInventory) -> tuple[bool, str]:
    wide = [
        f"{function}: {action} on {resource}"
        for function, statement in inventory.statements
        if statement["Effect"] == "Allow"
        for action in listed(statement.get("Action", "*"))
        for resource in listed(statement.get("Resource", "*"))
        if "*" in action or (_is_wide(resource) and not action.startswith("xray:"))
    ]
    return not wide, "; ".join(wide) or f"{len(inventory.statements)} statements"


@_check(
    "only who has a token may ask",
    "python -m ops token create --stage {stage} --name CALLER",
)
def _tokens(inventory: StageInventory) -> tuple[bool, str]:
    variables = inventory.functions["api_handler"].get("Environment", {}).get("Variables", {})
    if "LIFECYCLE_OPEN" in variables:
        return False, "LIFECYCLE_OPEN is set, which only the laptop's stage may; remove it and deploy"
    if "LIFECYCLE_TOKENS" in variables:
        return False, (
            f"LIFECYCLE_TOKENS is read no more: python -m ops token import --stage {inventory.stage}, remove "
            "it and deploy"
        )
    now = time.time()
    states = {
        token.name: "expired" if token.has_expired(now) else f"may {' and '.join(sorted(token.scopes))}"
        for token in sorted(clients.access().tokens(), key=lambda token: token.name)
    }
    if not states:
        return False, "no tokens: the API refuses everybody"
    return any(state != "expired" for state in states.values()), _list(states)


@_check("products under an earlier serial of their EPC are counted", "docs/api.md#gs1-identifiers")
def _earlier_serials(inventory: StageInventory) -> tuple[bool, str]:
    dynamodb = clients.client("dynamodb")
    found = epc_spellings.sample(dynamodb, settings.history_table())
    read = "all" if found.is_whole else f"a sample of {epc_spellings.MAX_PAGES} MB"
    return True, f"{found.earlier} products, of {read}"


@_check("every alarm is there", _STACK)
def _alarms_exist(inventory: StageInventory) -> tuple[bool, str]:
    wanted = alarm_names(inventory.stage)
    missing = sorted(wanted - inventory.alarms.keys())
    return not missing, f"missing: {', '.join(missing)}" if missing else f"{len(wanted)} alarms"


@_check("no alarm is ringing", "docs/operating.md, the section with the alarm's name")
def _alarms_quiet(inventory: StageInventory) -> tuple[bool, str]:
    ringing = sorted(name for name, state in inventory.alarms.items() if state == "ALARM")
    return not ringing, ", ".join(ringing) or "none"


@_check("every void has its marker", "python -m ops void --backfill --stage {stage}")
def _markers(inventory: StageInventory) -> tuple[bool, str]:
    return void_markers.are_complete(clients.client("dynamodb"), settings.history_table())


def alarm_names(stage: str) -> set[str]:
    """Return the names of the alarms that every stage's stack has."""
    return {
        resource["Properties"]["AlarmName"]["Fn::Sub"]
        .replace("${AppName}", settings.APP_NAME)
        .replace("${Stage}", stage)
        for resource in template.read()["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and resource["Condition"] == "IsWatched"
    }


def _is_wide(resource: str) -> bool:
    """Whether a pattern leaves open which resource is meant; account and region may be open."""
    name = resource.split(":", 5)[-1]
    if ":logs:" in resource:
        name = name.removesuffix(":*")  # the streams of one log group
    return "*" in name or "?" in name


def _list(values: Any) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())
