"""The stack of `infra/resources.yaml` on an endpoint: created, updated, removed.

The laptop and AWS are built from one description; `ops/deploy/stack.py` brings it to AWS, with a change set
that somebody reads first.  Here nobody reads: data is disposable and alarms would wake nobody.
"""

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.settings import APP_NAME
from infra import template
from local.aws import client

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

TEMPLATE = template.RESOURCES

#: As many as AWS gives a new on-demand stream, so that a laptop sees shards in parallel too.
SHARDS = 4

_TIMEOUT_S = 120.0
_POLL_S = 0.02


class StackError(Exception):
    """The stack could not be brought to the wanted state.  The message names the resource and the reason."""


def name(stage: str) -> str:
    """What the data stack of a stage is called."""
    return f"{APP_NAME}-{stage}-data"


def ensure(
    cloudformation: "CloudFormationClient",
    stage: str,
    shards: int = SHARDS,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Create the stage's stack, or bring an existing one up to date, and wait until that is complete.

    `shards` are a new stream's.  An existing one keeps those it has, because they are the operator's: they
    may have been split and merged since, and from any number to any other is no single step.

    Raises StackError.
    """
    status = _status(cloudformation, stage)
    if status == "ROLLBACK_COMPLETE":  # a failed creation: empty, and refuses every update
        remove(cloudformation, stage, clock=clock, sleep=sleep)
        status = None
    shard_count = {"ParameterValue": str(shards)} if status is None else {"UsePreviousValue": True}
    wanted = {
        "StackName": name(stage),
        **template.argument(template.as_json(TEMPLATE), lambda text: _uploaded(stage, text)),
        "Parameters": [
            {"ParameterKey": "Stage", "ParameterValue": stage},
            {"ParameterKey": "Data", "ParameterValue": "disposable"},
            # MiniStack gives an on-demand stream one shard.
            {"ParameterKey": "StreamMode", "ParameterValue": "PROVISIONED"},
            {"ParameterKey": "ShardCount", **shard_count},
            {"ParameterKey": "Watching", "ParameterValue": "off"},
        ],
        # The template names a transform, and a role for the archive that is not made here.
        "Capabilities": ["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"],
    }
    try:
        if status is None:
            cloudformation.create_stack(**wanted)  # type: ignore[arg-type]  # a dict of mixed values
        else:
            cloudformation.update_stack(**wanted)  # type: ignore[arg-type]
    except ClientError as exc:
        if "No updates are to be performed" in str(exc):
            return
        raise StackError(f"stack {name(stage)} was refused: {exc.response['Error']['Message']}") from exc
    finished = _finished(cloudformation, stage, clock, sleep)
    if finished not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise StackError(f"stack {name(stage)} is {finished}: {_why(cloudformation, stage)}")


def _uploaded(stage: str, text: str) -> str:
    """Put a template too large for a request into a bucket of its own on the endpoint; return its URL."""
    s3, bucket = client("s3"), f"{name(stage)}-templates"
    location = {"LocationConstraint": s3.meta.region_name}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
    return template.to_s3(s3, bucket, name(stage), text)


def remove(
    cloudformation: "CloudFormationClient",
    stage: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Delete the stage's stack with everything in it; nothing happens when there is none.

    Raises StackError.
    """
    cloudformation.delete_stack(StackName=name(stage))
    finished = _finished(cloudformation, stage, clock, sleep)
    if finished not in (None, "DELETE_COMPLETE"):
        raise StackError(f"stack {name(stage)} is {finished}: {_why(cloudformation, stage)}")


def _finished(
    cloudformation: "CloudFormationClient",
    stage: str,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> str | None:
    """The status once nothing is in progress any more; None for a stack that is gone."""
    deadline = clock() + _TIMEOUT_S
    while True:
        status = _status(cloudformation, stage)
        if status is None or not status.endswith("_IN_PROGRESS"):
            return status
        if clock() > deadline:
            raise StackError(f"stack {name(stage)} is still {status} after {_TIMEOUT_S:.0f} s")
        sleep(_POLL_S)


def _status(cloudformation: "CloudFormationClient", stage: str) -> str | None:
    try:
        status: str = cloudformation.describe_stacks(StackName=name(stage))["Stacks"][0]["StackStatus"]
    except ClientError as exc:
        # The API's way of saying so: there is no error code of its own for it.
        if "does not exist" in str(exc):
            return None
        raise
    return None if status == "DELETE_COMPLETE" else status


def _why(cloudformation: "CloudFormationClient", stage: str) -> str:
    """The first resource that failed, and its reason: the later ones only follow from it."""
    failed = None
    for event in cloudformation.describe_stack_events(StackName=name(stage))["StackEvents"]:  # newest first
        status = event.get("ResourceStatus", "")
        if status.endswith("_FAILED"):
            failed = event
        is_stack = event.get("ResourceType") == "AWS::CloudFormation::Stack"
        if is_stack and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
            break  # what lies before belongs to an earlier attempt
    if failed is None:
        return "no resource says why"
    return f"{failed.get('LogicalResourceId')}: {failed.get('ResourceStatusReason', 'no reason given')}"
