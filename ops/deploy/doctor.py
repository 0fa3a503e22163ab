"""`ops doctor`: is this stage ready for production?  The checks stand in checks.py."""

import argparse

import msgspec

from chalicelib import settings
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_OK
from cli.output import to_stderr
from infra import stages
from ops import arguments
from ops.deploy import checks
from ops.output import print_json, print_line

EXAMPLES = """\
  # line by line, with the fix for what fails
  python -m ops doctor --stage prod

  # for a program: one object a check
  python -m ops doctor --stage prod --json
"""


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    arguments.command(nouns, "doctor", help, EXAMPLES, run=run)


def run(args: argparse.Namespace) -> int:
    """Check; the findings are the answer."""
    stage = settings.stage()
    stages.read(stage)  # the laptop's stage is refused: nothing of it is deployed
    failed = total = 0
    for finding in checks.findings(stage):
        total += 1
        failed += not finding.ok
        if args.json:
            print_json(msgspec.to_builtins(finding))
            continue
        print_line(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check} ({finding.found})")
        if not finding.ok:
            print_line(f"      fix: {finding.fix}")
    begin = "; begin with the first fix, others may follow from it" if failed > 1 else ""
    to_stderr(f"{stage}: {total - failed} of {total} checks pass{begin}")
    return EXIT_FAILED if failed else EXIT_OK
