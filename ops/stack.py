"""`ops stack`: the data stack of a stage, brought to AWS with a change set that somebody reads first.

What a stage's parameters are stands in `infra/stages.json`; everything it does not name has the default of
`infra/resources.yaml`.  A laptop's stack is made by `local/stack.py`, where nobody reads anything.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from cli import template
from cli.exits import EXIT_FAILED, EXIT_OK
from ops import arguments
from ops.output import CommandError, say, table, tell_json

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

EXAMPLES = """\
  # what would change, and nothing else
  python -m ops stack apply --stage dev --dry-run

  # the same, and do it once you have said yes
  python -m ops stack apply --stage dev

  # from a script
  python -m ops stack apply --stage prod --yes --json
"""

STAGES = template.RESOURCES.with_name("stages.json")

#: The longest TemplateBody that CloudFormation takes (CloudFormation quotas).
MOST_TEMPLATE_BYTES = 51_200

_POLL_S = 1.0
_PATIENCE_S = 1800.0

#: What holds data: replaced, it would be empty.  Everything else in the stack can be made again.
HOLD_DATA = {"AWS::Kinesis::Stream", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket"}

#: How CloudFormation says that a change set is empty; it has no code for it.
_EMPTY = ("didn't contain changes", "No updates are to be performed")


class Change(msgspec.Struct, frozen=True):
    """One line of a change set."""

    action: str
    resource: str
    type: str
    replacement: str  # True, False or Conditional; empty for what is added or removed


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    verbs = nouns.add_parser(
        "stack", help="stream, tables, queues, alarms", description="The data stack of a stage."
    ).add_subparsers(dest="verb", required=True, metavar="VERB")
    parser = arguments.command(
        verbs, "apply", "create or update the stack, showing the changes first", EXAMPLES
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="also apply changes that replace a resource and lose what it holds",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a parameter for this time only, over infra/stages.json; may be repeated",
    )
    parser.set_defaults(run=apply)


def apply(args: argparse.Namespace) -> int:
    """Show the changes, ask, apply, wait.  The changes are the answer."""
    from ops import aws

    stage = settings.stage()
    wanted = parameters(stage, STAGES, dict(args.set))
    cloudformation = aws.cloudformation()
    deployment = Deployment(cloudformation, stage)
    changes = deployment.propose(wanted)
    _show(args, stage, changes)
    if not changes:
        say(f"{deployment.name} is up to date")
        return EXIT_OK
    if args.dry_run:
        deployment.withdraw()
        say("nothing applied: --dry-run")
        return EXIT_OK
    replaced = [
        change.resource for change in changes if change.replacement == "True" and change.type in HOLD_DATA
    ]
    if replaced and not args.replace:
        deployment.withdraw()
        raise CommandError(
            f"this would replace {', '.join(replaced)} and lose what is in it; nothing applied. "
            "If that is meant: --replace",
            EXIT_FAILED,
        )
    if not args.yes:
        can_ask = sys.stdin.isatty()
        if not can_ask or not _agreed(f"apply this to {deployment.name}?"):
            deployment.withdraw()
            why = "you did not say yes" if can_ask else "without a terminal to ask on, add --yes"
            raise CommandError(f"nothing applied; {why}", EXIT_FAILED)
    deployment.execute(say)
    say(f"{deployment.name} is up to date")
    return EXIT_OK


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def parameters(stage: str, path: Path = STAGES, this_time: Mapping[str, str] | None = None) -> dict[str, str]:
    """The parameters of a stage's stack; those of `this_time` win over those of the file.

    Raises ConfigurationError for a stage that the file does not name, or a parameter the template lacks.
    """
    stages = json.loads(path.read_text())
    if stage not in stages:
        raise ConfigurationError(
            f"stage {stage!r} is not in infra/{path.name}; it has {', '.join(sorted(stages))}: name one with "
            "--stage. The laptop's own is not deployed; `make serve` makes it"
        )
    given = {name: str(value) for name, value in stages[stage].items()} | dict(this_time or {})
    known = template.read()["Parameters"]
    if unknown := sorted(given.keys() - known.keys()):
        raise ConfigurationError(
            f"infra/{path.name}, {stage}: no such parameter {', '.join(unknown)}; "
            f"there are {', '.join(known)}"
        )
    return {"AppName": settings.APP_NAME, "Stage": stage, **given}


class Deployment:
    """One change set on one stack: proposed, then executed or withdrawn."""

    def __init__(
        self,
        cloudformation: "CloudFormationClient",
        stage: str,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = f"{settings.APP_NAME}-{stage}-data"
        self._stage = stage
        self._client = cloudformation
        self._clock = clock
        self._sleep = sleep
        self._change_set = f"ops-{int(clock() * 1000)}"
        self._is_new = False

    def propose(self, wanted: dict[str, str]) -> list[Change]:
        """What would change.  An empty list when nothing would; then there is nothing to withdraw either."""
        status = self._status()
        if status == "ROLLBACK_COMPLETE":
            raise CommandError(
                f"{self.name} failed to be created and can only be deleted: "
                f"aws cloudformation delete-stack --stack-name {self.name}",
                EXIT_FAILED,
            )
        # REVIEW_IN_PROGRESS: a change set was proposed once and nothing executed.
        self._is_new = status in (None, "REVIEW_IN_PROGRESS")
        self._create(wanted)
        described = self._described()
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "")
            self.withdraw()
            if any(words in reason for words in _EMPTY):
                return []
            raise CommandError(f"{self.name}: the change set failed: {reason}", EXIT_FAILED)
        changes = _changes(described)
        while "NextToken" in described:
            described = self._client.describe_change_set(
                StackName=self.name, ChangeSetName=self._change_set, NextToken=described["NextToken"]
            )
            changes += _changes(described)
        if not changes:
            self.withdraw()
        return changes

    def _create(self, wanted: dict[str, str]) -> None:
        from botocore.exceptions import ClientError

        try:
            self._client.create_change_set(
                StackName=self.name,
                ChangeSetName=self._change_set,
                ChangeSetType="CREATE" if self._is_new else "UPDATE",
                TemplateBody=template.RESOURCES.read_text(),
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in wanted.items()],
                Tags=[{"Key": "app", "Value": settings.APP_NAME}, {"Key": "stage", "Value": self._stage}],
                # A transform, and a role for the archive.
                Capabilities=["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"],
            )
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
        self._client.delete_change_set(StackName=self.name, ChangeSetName=self._change_set)
        if self._is_new and self._status() == "REVIEW_IN_PROGRESS":
            self._client.delete_stack(StackName=self.name)

    def execute(self, say: Callable[[str], None]) -> None:
        """Apply what was proposed and wait.  Raises CommandError with the reason of the first failure."""
        started = self._clock()
        self._client.execute_change_set(StackName=self.name, ChangeSetName=self._change_set)
        said = ""
        while True:
            status = self._status() or "DELETE_COMPLETE"
            if status != said:
                say(f"{self.name}: {status}")
                said = status
            if not status.endswith("_IN_PROGRESS"):
                break
            if self._clock() - started > _PATIENCE_S:
                raise CommandError(f"{self.name} is still {status}; look at its events", EXIT_FAILED)
            self._sleep(_POLL_S)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise CommandError(f"{self.name} is {status}: {self._why(started)}", EXIT_FAILED)

    def _described(self) -> Any:
        deadline = self._clock() + _PATIENCE_S
        while True:
            described = self._client.describe_change_set(StackName=self.name, ChangeSetName=self._change_set)
            if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                return described
            if self._clock() > deadline:
                raise CommandError(f"{self.name}: the change set is not getting ready", EXIT_FAILED)
            self._sleep(_POLL_S)

    def _status(self) -> str | None:
        from botocore.exceptions import ClientError

        try:
            status: str = self._client.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
        except ClientError as exc:
            if "does not exist" in str(exc):  # the API's way of saying so: it has no code for it
                return None
            raise
        return None if status == "DELETE_COMPLETE" else status

    def _why(self, since: float) -> str:
        failed = [
            event
            for page in self._client.get_paginator("describe_stack_events").paginate(StackName=self.name)
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


def _show(args: argparse.Namespace, stage: str, changes: list[Change]) -> None:
    if args.json:
        tell_json({"stage": stage, "changes": [msgspec.to_builtins(change) for change in changes]})
    elif changes:
        table(
            ("action", "resource", "type", "replacement"),
            [(change.action, change.resource, change.type, change.replacement) for change in changes],
        )


def _agreed(question: str) -> bool:
    say(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
