"""`ops mapping`: sets and checks what `chalice deploy` cannot express about event source mappings.

`chalice deploy` knows batch size, window, concurrency and starting position.  Everything about failure stands
in `infra/functions.json`; `apply` brings both to the deployed mappings and functions, `check` shows where
they differ.  Until `apply` has run, and after a later `chalice deploy`, which resets the functions' setting,
they raise instead of reporting, and nothing is lost.
"""

import argparse
import json
from pathlib import Path

import msgspec

from chalicelib import settings
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_OK
from cli.output import to_stderr
from cli.paths import ROOT
from infra import stages
from ops import arguments, clients
from ops.deploy.inventory import PROCESS, TRIAGE
from ops.deploy.lambda_settings import Difference, LambdaSettings, losing_function
from ops.output import CommandError, print_json, print_table

APPLY_EXAMPLES = """\
  # after chalice deploy --stage dev
  python -m ops mapping apply --stage dev
"""
CHECK_EXAMPLES = """\
  # exit code 1, and where, when somebody has changed something by hand
  python -m ops mapping check --stage prod

  # for a program
  python -m ops mapping check --stage prod --json
"""


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    verbs = arguments.noun(nouns, "mapping", help)
    for verb, help_, examples, run in (
        ("apply", "set what infra/functions.json says, show what was different", APPLY_EXAMPLES, apply),
        ("check", "show what is not as infra/functions.json says", CHECK_EXAMPLES, check),
    ):
        parser = arguments.command(verbs, verb, help_, examples, run=run)
        parser.add_argument(
            "--project",
            type=Path,
            default=ROOT,
            metavar="DIR",
            help="where chalice deploy ran (default: here)",
        )


def check(args: argparse.Namespace) -> int:
    """Compare; the differences are the answer."""
    deployed = _deployed(args)
    differences = deployed.differences()
    _show(args, differences, changed=False)
    for function in PROCESS, TRIAGE:
        # No verdict: a batch that failed once and goes through at its second try leaves this behind, too.
        if result := deployed.latest_result(function):
            to_stderr(f"{function}: Lambda's latest result is {result!r}; docs/operating.md, nobody-reads")
    if losing := losing_function(differences):
        to_stderr(
            f"RECORDS ARE BEING LOST: {losing} reports failures and its mapping does not listen; apply now"
        )
    if differences:
        to_stderr(
            f"{len(differences)} settings differ; python -m ops mapping apply --stage {settings.stage()}"
        )
        return EXIT_FAILED
    to_stderr("every setting is as infra/functions.json says")
    return EXIT_OK


def apply(args: argparse.Namespace) -> int:
    """Compare, change, wait until it is in force; what was different is the answer."""
    deployed = _deployed(args)
    differences = deployed.differences()
    deployed.apply(differences)
    _show(args, differences, changed=True)
    if left := deployed.differences():
        names = ", ".join(f"{each.function} {each.setting}" for each in left)
        raise CommandError(f"still not as infra/functions.json says: {names}", EXIT_FAILED)
    to_stderr(f"{len(differences)} settings changed" if differences else "nothing to change")
    return EXIT_OK


def _deployed(args: argparse.Namespace) -> LambdaSettings:
    stages.read(settings.stage())  # the laptop's stage is refused: nothing of it is deployed
    return LambdaSettings(clients.lambda_(), settings.stage(), args.project)


def _show(args: argparse.Namespace, differences: list[Difference], changed: bool) -> None:
    if args.json:
        listed = [msgspec.to_builtins(each) for each in differences]
        print_json({"stage": settings.stage(), "differences": listed, "changed": changed})
    elif differences:
        print_table(
            ("function", "setting", "was" if changed else "is", "is now" if changed else "should be"),
            [
                (each.function, each.setting, json.dumps(each.found), json.dumps(each.wanted))
                for each in differences
            ],
        )
