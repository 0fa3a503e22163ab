"""A change set on a stage's data stack: proposed, shown, then executed or withdrawn.

The only place that talks to CloudFormation about the data stack; which changes somebody wants, and whether
they are told to happen, is in `ops/deploy/stack.py`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib import settings
from cli.exits import EXIT_FAILED
from infra import template
from ops.output import CommandError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ResourceToImportTypeDef

#: The longest TemplateBody that CloudFormation takes (CloudFormation quotas).
MOST_TEMPLATE_BYTES = 51_200

POLL_S = 1.0
_PATIENCE_S = 1800.0

#: How CloudFormation says that a change set is empty; it has no code for it.
_EMPTY = ("didn't contain changes", "No updates are to be performed")


class Change(msgspec.Struct, frozen=True):
    """One line of a change set."""

    action: str
    resource: str
    type: str
    replacement: str  # True, False or Conditional; empty for what is added, imported or removed


class ChangeSet:
    """One change set on one stack."""

    def __init__(
        self,
        cloudformation: "CloudFormationClient",
        stage: str,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.stack = f"{settings.APP_NAME}-{stage}-data"
        self._stage = stage
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
        """What would change if the stack became what `infra/resources.yaml` says.

        An empty list when nothing would; then there is nothing to withdraw either.
        """
        return self._propose(
            parameters,
            ChangeSetType="CREATE" if self.is_first else "UPDATE",
            TemplateBody=template.RESOURCES.read_text(),
            Tags=[{"Key": "app", "Value": settings.APP_NAME}, {"Key": "stage", "Value": self._stage}],
            # A transform, and a role for the archive.
            Capabilities=["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"],
        )

    def propose_import(
        self, parameters: Mapping[str, str], body: str, resources: Sequence["ResourceToImportTypeDef"]
    ) -> list[Change]:
        """What of `resources`, described in the template `body`, a new stack would take over: all of it."""
        return self._propose(
            parameters, ChangeSetType="IMPORT", TemplateBody=body, ResourcesToImport=resources
        )

    def _propose(self, parameters: Mapping[str, str], **what: Any) -> list[Change]:
        self._create(
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            **what,
        )
        described = self._described()
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "")
            self.withdraw()
            if any(words in reason for words in _EMPTY):
                return []
            raise CommandError(f"{self.stack}: the change set failed: {reason}", EXIT_FAILED)
        changes = _changes(described)
        while "NextToken" in described:
            described = self._client.describe_change_set(
                StackName=self.stack, ChangeSetName=self._name, NextToken=described["NextToken"]
            )
            changes += _changes(described)
        if not changes:
            self.withdraw()
        return changes

    def _create(self, **what: Any) -> None:
        from botocore.exceptions import ClientError

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
        from botocore.exceptions import ClientError

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


def _changes(described: Any) -> list[Change]:
    return [
        Change(
            change["ResourceChange"]["Action"],
            change["ResourceChange"]["LogicalResourceId"],
            change["ResourceChange"]["ResourceType"],
            change["ResourceChange"].get("Replacement", ""),
        )
        for change in described["Changes"]
    ]
