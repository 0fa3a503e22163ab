"""What each function may do: one table, from which the policy files that Chalice ships are written.

Chalice ships policy files verbatim, so there is one per stage and function:
`.chalice/policy-<stage>-<function>.json`.  Resource names in them are exact; account and region stay open,
which widens nothing: a role acts in its own account, and the names carry the stage.

`code` grants are what our code calls; a test records every call and holds the table to it, both ways.
`platform` grants are what Lambda does in the function's name, with where AWS says so.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from chalicelib import settings
from chalicelib.settings import APP_NAME
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_OK
from cli.output import to_stderr
from cli.stage import CONFIG
from infra import stages
from ops import arguments
from ops.output import print_json, print_line

EXAMPLES = """\
  # write the policy files of a stage, new or after a change of the table
  python -m ops policies --stage dev

  # only say whether they are up to date
  python -m ops policies --stage prod --check
"""

#: Of the commercial regions; China and GovCloud have their own.
PARTITION = "aws"

Function = Literal["process_lifecycle", "triage_dead_letters", "api_handler"]


class Grant(msgspec.Struct, frozen=True):
    """Actions on one resource, and who needs them."""

    by: Literal["code", "platform"]
    why: str
    resource: str  # a key of `arns`
    actions: tuple[str, ...]


_TRACES = Grant(
    "platform",
    "active tracing; X-Ray knows no resources (Service Authorization Reference, AWS X-Ray)",
    "anything",
    ("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
)
_LOGS = Grant(
    "platform",
    "logs, in a group that the data stack has made",
    "logs",
    ("logs:CreateLogStream", "logs:PutLogEvents"),
)

TABLE: dict[Function, tuple[Grant, ...]] = {
    "process_lifecycle": (
        Grant("code", "events are stored, 25 a request", "history", ("dynamodb:BatchWriteItem",)),
        Grant("code", "poison pills are quarantined", "quarantine", ("dynamodb:PutItem",)),
        Grant(
            "platform",
            "the event source mapping polls (Lambda developer guide, Kinesis, execution role)",
            "stream",
            (
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            ),
        ),
        Grant(
            "platform",
            "the mapping's on-failure destination (Lambda developer guide, Kinesis, on-failure destination)",
            "dead-letters",
            ("sqs:SendMessage",),
        ),
        _LOGS,
        _TRACES,
    ),
    "triage_dead_letters": (
        Grant(
            "code",
            "dead letters hold pointers: their records are read again",
            "stream",
            ("kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator"),
        ),
        Grant("code", "what now succeeds is stored", "history", ("dynamodb:BatchWriteItem",)),
        Grant(
            "code",
            "what still fails is quarantined; progress on a wide range is noted and removed",
            "quarantine",
            ("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"),
        ),
        Grant(
            "platform",
            "the event source mapping polls (Lambda developer guide, SQS, execution role)",
            "dead-letters",
            ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        ),
        _LOGS,
        _TRACES,
    ),
    "api_handler": (
        Grant("code", "histories are read", "history", ("dynamodb:Query",)),
        Grant(
            "code",
            "who asks is looked up, and the day noted",
            "access",
            ("dynamodb:GetItem", "dynamodb:UpdateItem"),
        ),
        Grant("code", "reported events go onto the stream", "stream", ("kinesis:PutRecords",)),
        _LOGS,
        _TRACES,
    ),
}


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "policies", help, EXAMPLES, run=run)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when one is out of date")


def run(args: argparse.Namespace) -> int:
    """Write or compare; the files that changed, or have to, are the answer."""
    stage = settings.stage()
    stages.read(stage)  # the laptop's stage is refused: nothing of it is deployed
    changed = stale(stage)
    if not args.check:
        for path, text in files(stage):
            path.write_text(text)
    if args.json:
        print_json({"stage": stage, "changed": [path.name for path in changed], "written": not args.check})
    else:
        for path in changed:
            print_line(f"{path.name} {'is out of date' if args.check else 'written'}")
        if not changed:
            to_stderr(f"the policies of {stage} are up to date")
    return EXIT_FAILED if changed and args.check else EXIT_OK


def function_name(function: Function, stage: str) -> str:
    """Return the name of a function on AWS.

    Chalice calls the API's function after the application alone (chalice/deploy/appgraph.py, 1.34).
    """
    base = f"{APP_NAME}-{stage}"
    return base if function == "api_handler" else f"{base}-{function}"


def arns(function: Function, stage: str) -> dict[str, str]:
    """Return the resources that grants name, as IAM patterns."""
    name = f"{APP_NAME}-{stage}"
    return {
        "stream": f"arn:{PARTITION}:kinesis:*:*:stream/{name}-events",
        "history": f"arn:{PARTITION}:dynamodb:*:*:table/{name}-history",
        "quarantine": f"arn:{PARTITION}:dynamodb:*:*:table/{name}-quarantine",
        "access": f"arn:{PARTITION}:dynamodb:*:*:table/{name}-access",
        "dead-letters": f"arn:{PARTITION}:sqs:*:*:{name}-dead-letters",
        "logs": f"arn:{PARTITION}:logs:*:*:log-group:/aws/lambda/{function_name(function, stage)}:*",
        "anything": "*",
    }


def document(function: Function, stage: str) -> dict[str, Any]:
    """Return the policy of a function at a stage."""
    patterns = arns(function, stage)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": f"{grant.by.title()}{number}",
                "Effect": "Allow",
                "Action": list(grant.actions),
                "Resource": patterns[grant.resource],
            }
            for number, grant in enumerate(TABLE[function], start=1)
        ],
    }


def files(stage: str, directory: Path = CONFIG.parent) -> Iterator[tuple[Path, str]]:
    """Yield the policy files of a stage and their contents."""
    for function in TABLE:
        text = json.dumps(document(function, stage), indent=2) + "\n"
        yield directory / f"policy-{stage}-{function}.json", text


def stale(stage: str, directory: Path = CONFIG.parent) -> list[Path]:
    """Return the policy files of a stage that differ from the table."""
    return [path for path, text in files(stage, directory) if not path.exists() or path.read_text() != text]
