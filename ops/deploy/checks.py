"""What makes a deployment ready for production, check by check, against what is really there.

Each check is one question with one fix.  What cannot be read (deployed.py) fails the checks that need it,
with the reason, and no others.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import settings
from chalicelib.api import auth
from chalicelib.errors import ConfigurationError, StorageError
from infra import functions, template
from ops import clients, void_markers
from ops.deploy import lambda_settings, stack
from ops.deploy.inventory import PROCESS, TRIAGE, Deployment, listed
from ops.output import CommandError, counted, when


class Finding(msgspec.Struct, frozen=True):
    """The answer to one check: what was found, and what to do when it is not as it should be."""

    check: str
    ok: bool
    found: str
    fix: str


_ARM = "python -m ops mapping apply --stage {stage}"
_STACK = "python -m ops stack apply --stage {stage}"
_DEPLOY = "chalice deploy --stage {stage}, then python -m ops mapping apply --stage {stage}; or the package"


Check = Callable[[Deployment], tuple[bool, str]]
_CHECKS: list[tuple[str, str, Check]] = []


def findings(stage: str) -> Iterator[Finding]:
    """Every check against the stage."""
    deployment = Deployment(stage)
    for name, fix, check in _CHECKS:
        try:
            ok, found = check(deployment)
        except lambda_settings.NotDeployedError as exc:
            ok, found, fix = False, f"cannot be read: {exc}", _DEPLOY
        except (ClientError, BotoCoreError, CommandError, StorageError, KeyError) as exc:
            # Not there, not allowed, not answering: a finding like any other, and the rest goes on.
            ok, found = False, f"cannot be read: {exc}"
        yield Finding(name, ok, found, fix.format(stage=stage))


def _check(name: str, fix: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        _CHECKS.append((name, fix, check))
        return check

    return add


# These two first: whoever puts right one thing after the other has to begin with what is missing.
@_check("stream, tables and queues are there", _STACK)
def _data(deployment: Deployment) -> tuple[bool, str]:
    described = [deployment.stream["StreamName"], *deployment.tables, *deployment.queues]
    return True, ", ".join(described)


@_check("functions and their event source mappings are there", _DEPLOY)
def _deployed(deployment: Deployment) -> tuple[bool, str]:
    sources = [deployment.ingest_mapping["EventSourceArn"], deployment.triage_mapping["EventSourceArn"]]
    return True, ", ".join([*deployment.functions, *(arn.rsplit(":", 1)[-1] for arn in sources)])


@_check("event source mappings are enabled", _ARM)
def _enabled(deployment: Deployment) -> tuple[bool, str]:
    states = {PROCESS: deployment.ingest_mapping["State"], TRIAGE: deployment.triage_mapping["State"]}
    return set(states.values()) == {"Enabled"}, _list(states)


@_check("a failing batch is halved", _ARM)
def _bisect(deployment: Deployment) -> tuple[bool, str]:
    value = deployment.ingest_mapping.get("BisectBatchOnFunctionError")
    return value is True, f"BisectBatchOnFunctionError is {json.dumps(value)}"


@_check("a failing batch is not tried for ever", _ARM)
def _retries(deployment: Deployment) -> tuple[bool, str]:
    attempts = deployment.ingest_mapping.get("MaximumRetryAttempts", -1)
    return attempts >= 0, f"MaximumRetryAttempts is {attempts}"


@_check("records are given up before the stream forgets them", _ARM)
def _age(deployment: Deployment) -> tuple[bool, str]:
    age_s = deployment.ingest_mapping.get("MaximumRecordAgeInSeconds", -1)
    retention_s = deployment.stream["RetentionPeriodHours"] * 3600
    return 0 < age_s < retention_s, f"at most {age_s} s old, the stream keeps {retention_s} s"


@_check("what is given up goes to a queue that is there", _ARM)
def _destination(deployment: Deployment) -> tuple[bool, str]:
    arn = deployment.ingest_mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
    name = arn.rsplit(":", 1)[-1]
    if name != settings.dead_letter_queue():
        return False, f"the destination is {arn or 'not set'}"
    return deployment.queue(name)["QueueArn"] == arn, arn


@_check("partial failures are reported and listened to", _ARM)
def _partial(deployment: Deployment) -> tuple[bool, str]:
    found = {}
    for function, described in ((PROCESS, deployment.ingest_mapping), (TRIAGE, deployment.triage_mapping)):
        variables = deployment.functions[function].get("Environment", {}).get("Variables", {})
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
def _visibility(deployment: Deployment) -> tuple[bool, str]:
    hidden_s = int(deployment.queues[settings.dead_letter_queue()]["VisibilityTimeout"])
    timeout_s = deployment.functions[TRIAGE]["Timeout"]
    return hidden_s >= 6 * timeout_s, f"hidden for {hidden_s} s, the time-out is {timeout_s} s"


@_check("the stream outlasts the longest way through the dead-letter queue", _STACK)
def _retention(deployment: Deployment) -> tuple[bool, str]:
    queue = deployment.queues[settings.dead_letter_queue()]
    receives = int(json.loads(queue["RedrivePolicy"])["maxReceiveCount"])
    age_s = deployment.ingest_mapping.get("MaximumRecordAgeInSeconds", -1)
    retention_s = deployment.stream["RetentionPeriodHours"] * 3600
    worst_s = age_s + receives * int(queue["VisibilityTimeout"])
    found = (
        f"given up after {age_s} s and tried {receives} times: {worst_s} s; the stream keeps {retention_s} s"
    )
    return age_s > 0 and worst_s < retention_s, found


@_check("dead letters and parked ones are kept longer than their records", _STACK)
def _queue_retention(deployment: Deployment) -> tuple[bool, str]:
    retention_s = deployment.stream["RetentionPeriodHours"] * 3600
    kept = {name: int(queue["MessageRetentionPeriod"]) for name, queue in deployment.queues.items()}
    return min(kept.values()) >= retention_s, f"{_list(kept)} s; the stream keeps {retention_s} s"


@_check("stream, tables and queues are encrypted", _STACK)
def _encrypted(deployment: Deployment) -> tuple[bool, str]:
    plain = [] if deployment.stream.get("EncryptionType") == "KMS" else [settings.stream_name()]
    plain += [
        name
        for name, table in deployment.tables.items()
        if table.get("SSEDescription", {}).get("Status") != "ENABLED"
    ]
    plain += [
        name
        for name, queue in deployment.queues.items()
        if queue.get("SqsManagedSseEnabled") != "true" and not queue.get("KmsMasterKeyId")
    ]
    return not plain, f"not encrypted: {', '.join(plain)}" if plain else "all"


@_check("tables can be restored to any second of the last 35 days", _STACK)
def _recovery(deployment: Deployment) -> tuple[bool, str]:
    states = {
        name: table["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"][
            "PointInTimeRecoveryStatus"
        ]
        for name, table in deployment.tables.items()
    }
    return set(states.values()) == {"ENABLED"}, _list(states)


@_check("tables refuse to be deleted, where their data is to be kept", _STACK)
def _protected(deployment: Deployment) -> tuple[bool, str]:
    if stack.parameters(deployment.stage).get("Data") == "disposable":
        return True, "infra/stages.json calls this stage's data disposable"
    protected = {
        name: bool(table.get("DeletionProtectionEnabled")) for name, table in deployment.tables.items()
    }
    return all(protected.values()), _list(protected)


@_check("invocations are traced", _ARM)
def _traced(deployment: Deployment) -> tuple[bool, str]:
    modes = {
        function: described.get("TracingConfig", {}).get("Mode", "PassThrough")
        for function, described in deployment.functions.items()
    }
    return set(modes.values()) == {"Active"}, _list(modes)


@_check("functions have the time and memory that infra/functions.json says", _ARM)
def _sized(deployment: Deployment) -> tuple[bool, str]:
    wanted = functions.properties(deployment.stage)
    wrong = [
        f"{function} {setting} {deployment.functions[function][setting]}, expected {wanted[id_][setting]}"
        for id_, function in lambda_settings.FUNCTIONS.items()
        for setting in ("Timeout", "MemorySize")
        if deployment.functions[function][setting] != wanted[id_][setting]
    ]
    return not wrong, "; ".join(wrong) or "all"


@_check("policies name their actions and resources", _DEPLOY)
def _policies(deployment: Deployment) -> tuple[bool, str]:
    wide = [
        f"{function}: {action} on {resource}"
        for function, statement in deployment.statements
        if statement["Effect"] == "Allow"
        for action in listed(statement.get("Action", "*"))
        for resource in listed(statement.get("Resource", "*"))
        if "*" in action or (_is_wide(resource) and not action.startswith("xray:"))
    ]
    return not wide, "; ".join(wide) or f"{len(deployment.statements)} statements"


@_check(
    "only who has a token may ask",
    "python -m ops token create --stage {stage} --name CALLER, add the entry it prints, deploy",
)
def _tokens(deployment: Deployment) -> tuple[bool, str]:
    variables = deployment.functions["api_handler"].get("Environment", {}).get("Variables", {})
    try:
        tokens = auth.parse(variables.get("LIFECYCLE_TOKENS", ""))
    except ConfigurationError as exc:
        return False, str(exc)
    if not tokens:
        opened = variables.get("LIFECYCLE_OPEN") == "yes"
        return False, "everybody may ask" if opened else "no tokens: the API refuses everybody"
    now = time.time()
    states = {
        token.name: "expired" if token.expires_at is not None and token.expires_at <= now else "valid"
        for token in tokens
    }
    return "valid" in states.values(), _list(states)


@_check("every alarm is there", _STACK)
def _alarms_exist(deployment: Deployment) -> tuple[bool, str]:
    wanted = alarm_names(deployment.stage)
    missing = sorted(wanted - deployment.alarms.keys())
    return not missing, f"missing: {', '.join(missing)}" if missing else f"{len(wanted)} alarms"


@_check("no alarm is ringing", "docs/operating.md, the section with the alarm's name")
def _alarms_quiet(deployment: Deployment) -> tuple[bool, str]:
    ringing = sorted(name for name, state in deployment.alarms.items() if state == "ALARM")
    return not ringing, ", ".join(ringing) or "none"


@_check("every void has its marker", "python -m ops void --backfill --stage {stage}")
def _markers(deployment: Deployment) -> tuple[bool, str]:
    table = settings.history_table()
    client = clients.client("dynamodb")
    done = void_markers.progress(client, table)
    if done is not None and done.finished_at_ms is not None:
        return True, f"a backfill has looked through the table, {when(done.finished_at_ms)}"
    if done is not None:
        return False, "a backfill has stopped before the end"
    seen = void_markers.backfill(client, table, dry_run=True, limit=1)
    if seen.finished_at_ms is None:
        return False, "not known: no backfill has run, and the table is too large to look through here"
    return not seen.missing, f"{seen.missing} of {counted(seen.voids, 'void')} without"


def alarm_names(stage: str) -> set[str]:
    """The alarms that every stage's stack has."""
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
