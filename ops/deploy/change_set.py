"""A change set on a stage's data stack: proposed, shown, then executed or withdrawn.

Which changes are wanted, and whether they are executed, is decided in `ops/deploy/stack.py`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError

from chalicelib import settings
from cli.exits import EXIT_FAILED, EXIT_USAGE
from infra import template
from ops import clients
from ops.output import CommandError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ResourceToImportTypeDef

POLL_S = 1.0
_PATIENCE_S = 1800.0

#: How CloudFormation says that a change set is empty; it has no code for it.
_EMPTY = ("didn't contain changes", "No updates are to be performed")


class Change(msgspec.Struct, frozen=True):
    """What a change set does to one resource."""

    action: str
    resource: str
    type: str
    replacement: str  # True, False or Conditional; empty for what is added, imported or removed


class ChangeSet:
    """One change set on one stack.

    `bucket` takes templates that are too large for a request; without one they are refused.
    """

    def __init__(
        self,
        cloudformation: "CloudFormationClient",
        stage: str,
        bucket: str | None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.stack = f"{settings.APP_NAME}-{stage}-data"
        self._stage = stage
        self._bucket = bucket
        self._client = cloudformation
        self._clock = clock
        self._sleep = sleep
        self._name = f"ops-{int(clock() * 1000)}"
        status = self._status()
        if status == "ROLLBACK_COMPLETE":
            raise CommandError(
                f"{self.stack} failed to be created and can only be deleted: "
                f"aws cloudformation delete-stack --stack-name {self.stack}",
                EXIT_FAILED,
            )
        # REVIEW_IN_PROGRESS: a change set was proposed once and nothing executed.
        self.is_first = status in (None, "REVIEW_IN_PROGRESS")

    def propose(self, parameters: Mapping[str, str]) -> list[Change]:
        """Return what would change if the stack became what `infra/resources.yaml` describes.

        The list is empty when nothing would; then there is nothing to withdraw either.
        """
        return self._propose(
            parameters,
            template.compact(template.read()),
            ChangeSetType="CREATE" if self.is_first else "UPDATE",
            Tags=[{"Key": "app", "Value": settings.APP_NAME}, {"Key": "stage", "Value": self._stage}],
            # A transform, and a role for the archive.
            Capabilities=["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"],
        )

    def propose_import(
        self, parameters: Mapping[str, str], body: str, resources: Sequence["ResourceToImportTypeDef"]
    ) -> list[Change]:
        """Return the imports of `resources`, which the template `body` describes, into a new stack."""
        return self._propose(parameters, body, ChangeSetType="IMPORT", ResourcesToImport=resources)

    def _propose(self, parameters: Mapping[str, str], body: str, **what: Any) -> list[Change]:
        self._create(
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            **template.argument(body, self._upload),
            **what,
        )
        described = self._described()
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "")
            self.withdraw()
            if any(words in reason for words in _EMPTY):
                return []
            raise CommandError(f"{self.stack}: the change set failed: {reason}", EXIT_FAILED)
        pages = self._client.get_paginator("describe_change_set").paginate(
            StackName=self.stack, ChangeSetName=self._name
        )
        changes = [_change(each["ResourceChange"]) for page in pages for each in page["Changes"]]
        if not changes:
            self.withdraw()
        return changes

    def _create(self, **what: Any) -> None:
        try:
            self._client.create_change_set(StackName=self.stack, ChangeSetName=self._name, **what)
        except ClientError as exc:
            if "Unrecognized resource types" not in str(exc):
                raise
            raise CommandError(
                f"this endpoint cannot make all of it ({exc.response['Error'].get('Message', '')}); "
                "--set Watching=off leaves alarms, dashboard and saved queries out",
                EXIT_FAILED,
            ) from exc

    def _upload(self, text: str) -> str:
        """Put the template into the stage's bucket; return its URL.  Raises CommandError without one."""
        name_one = (
            "name a bucket of yours in this region, as TemplateBucket of the stage in infra/stages.json or "
            "with --set TemplateBucket=NAME"
        )
        if self._bucket is None:
            raise CommandError(
                f"the template has {len(text.encode()):,} bytes, and a request to CloudFormation takes "
                f"{template.MAX_BODY_BYTES:,}; a larger one goes by S3: {name_one}",
                EXIT_USAGE,
            )
        try:
            return template.to_s3(clients.client("s3"), self._bucket, self.stack, text)
        except ClientError as exc:
            error = exc.response["Error"]
            raise CommandError(
                f"the template cannot be put into the bucket {self._bucket}: {error['Code']}: "
                f"{error.get('Message', '')}; {name_one}",
                EXIT_FAILED,
            ) from exc

    def withdraw(self) -> None:
        """Remove the change set, and the empty stack that proposing one made."""
        self._client.delete_change_set(StackName=self.stack, ChangeSetName=self._name)
        if self.is_first and self._status() == "REVIEW_IN_PROGRESS":
            self._client.delete_stack(StackName=self.stack)

    def execute(self, say: Callable[[str], None]) -> None:
        """Apply what was proposed and wait.  Raises CommandError with the reason of the first failure."""
        started = self._clock()
        self._client.execute_change_set(StackName=self.stack, ChangeSetName=self._name)
        said = ""
        while True:
            status = self._status() or "DELETE_COMPLETE"
            if status != said:
                say(f"{self.stack}: {status}")
                said = status
            if not status.endswith("_IN_PROGRESS"):
                break
            if self._clock() - started > _PATIENCE_S:
                raise CommandError(f"{self.stack} is still {status}; look at its events", EXIT_FAILED)
            self._sleep(POLL_S)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
            raise CommandError(f"{self.stack} is {status}: {self._why(started)}", EXIT_FAILED)

    def _described(self) -> Any:
        deadline = self._clock() + _PATIENCE_S
        while True:
            described = self._client.describe_change_set(StackName=self.stack, ChangeSetName=self._name)
            if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                return described
            if self._clock() > deadline:
                raise CommandError(f"{self.stack}: the change set is not getting ready", EXIT_FAILED)
            self._sleep(POLL_S)

    def _status(self) -> str | None:
        try:
            status: str = self._client.describe_stacks(StackName=self.stack)["Stacks"][0]["StackStatus"]
        except ClientError as exc:
            if "does not exist" in str(exc):  # the API's way of saying so: it has no code for it
                return None
            raise
        return None if status == "DELETE_COMPLETE" else status

    def _why(self, since: float) -> str:
        failed = [
            event
            for page in self._client.get_paginator("describe_stack_events").paginate(StackName=self.stack)
            for event in page["StackEvents"]
            if event.get("ResourceStatus", "").endswith("_FAILED")
            and event["Timestamp"].timestamp() >= since - 60
        ]
        if not failed:
            return "no resource says why"
        first = failed[-1]  # newest first, and what fails later only follows
        return f"{first.get('LogicalResourceId')}: {first.get('ResourceStatusReason', 'no reason given')}"


def _change(described: Any) -> Change:
    return Change(
        described["Action"],
        described["LogicalResourceId"],
        described["ResourceType"],
        described.get("Replacement", ""),
    )
