"""`ops stack`: the data stack of a stage, brought to AWS with a change set that is shown first.

A stage's parameters stand in `infra/stages.json`.  A laptop's stack is made by `local/stack.py`, without
questions.
"""

import argparse
import sys
from typing import Any

import msgspec

from chalicelib import settings
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_OK
from cli.output import to_stderr
from infra import stages
from ops import arguments, clients
from ops.deploy import retained_resources
from ops.deploy.change_set import ChangeSet
from ops.output import CommandError, print_json, print_table

EXAMPLES = """\
  # what would change, and nothing else
  python -m ops stack apply --stage dev --dry-run

  # the same, and do it once you have said yes
  python -m ops stack apply --stage dev

  # from a script
  python -m ops stack apply --stage prod --yes --json
"""

ADOPT_EXAMPLES = """\
  # what an earlier stack left behind
  python -m ops stack adopt --stage prod --dry-run

  # take it into a new stack once you have said yes; `stack apply` then makes the rest
  python -m ops stack adopt --stage prod
"""


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    verbs = arguments.noun(nouns, "stack", help)
    parser = arguments.command(
        verbs, "apply", "create or update the stack, showing the changes first", EXAMPLES, run=apply
    )
    _add_options(parser)
    parser.add_argument(
        "--replace",
        action="store_true",
        help="also apply changes that replace a resource and lose what it holds",
    )
    parser = arguments.command(
        verbs,
        "adopt",
        "take what a deleted stack left behind into a new one, showing it first",
        ADOPT_EXAMPLES,
        run=adopt,
    )
    _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a setting for this time only, over infra/stages.json; may be repeated",
    )


def apply(args: argparse.Namespace) -> int:
    """Show the changes, ask, apply, wait.  The changes are the answer."""
    name, stage, change_set = _begin(args)
    # CloudFormation would find out halfway, and leave a stack that can only be deleted.
    if change_set.is_first and (left := retained_resources.find(stage.parameters)):
        raise CommandError(
            f"{', '.join(each.name for each in left)}: there already, kept when a stack was deleted; "
            f"take this into the new stack first: python -m ops stack adopt --stage {name}",
            EXIT_FAILED,
        )
    changes = change_set.propose(stage.parameters)
    _show(args, name, [msgspec.to_builtins(change) for change in changes])
    if not changes:
        to_stderr(f"{change_set.stack} is up to date")
        return EXIT_OK
    replaced = [
        change.resource
        for change in changes
        if change.replacement == "True" and change.type in retained_resources.IDENTIFIED_BY
    ]
    if replaced and not args.replace and not args.dry_run:
        change_set.withdraw()
        raise CommandError(
            f"this would replace {', '.join(replaced)} and lose what is in it; nothing applied. "
            "If that is meant: --replace",
            EXIT_FAILED,
        )
    if _is_executed(args, change_set, f"apply this to {change_set.stack}?"):
        to_stderr(f"{change_set.stack} is up to date")
    return EXIT_OK


def adopt(args: argparse.Namespace) -> int:
    """Show what would be taken over, ask, import, wait.  What is taken over is the answer."""
    name, stage, change_set = _begin(args)
    # What is left behind was `kept`, whatever the stage is to become: `apply` sees the difference.
    parameters = {**stage.parameters, "Data": "kept"}
    then = f"python -m ops stack apply --stage {name}"
    if not change_set.is_first:
        raise CommandError(f"{change_set.stack} is there already; {then} brings it up to date", EXIT_FAILED)
    left = retained_resources.find(parameters)
    if not left:
        raise CommandError(f"nothing was left behind for {change_set.stack}; {then} makes it", EXIT_FAILED)
    changes = change_set.propose_import(
        parameters, retained_resources.import_template(left), [each.to_import() for each in left]
    )
    names = {each.resource: each.name for each in left}
    rows = [
        {"action": each.action, "resource": each.resource, "type": each.type, "name": names[each.resource]}
        for each in changes
    ]
    _show(args, name, rows)
    if _is_executed(args, change_set, f"take this into {change_set.stack}?"):
        to_stderr(f"{change_set.stack} has it, as it was; next, for the rest: {then}")
    return EXIT_OK


def _begin(args: argparse.Namespace) -> tuple[str, stages.Stage, ChangeSet]:
    """Return the stage's name, its settings, and an empty change set on its stack."""
    name = settings.stage()
    stage = stages.read(name, dict(args.set))
    return name, stage, ChangeSet(clients.cloudformation(), name, stage.template_bucket)


def _is_executed(args: argparse.Namespace, change_set: ChangeSet, question: str) -> bool:
    """Execute the change set, unless this is a dry run.  Raises CommandError without a yes."""
    if args.dry_run:
        change_set.withdraw()
        to_stderr("nothing applied: --dry-run")
        return False
    if not args.yes:
        can_ask = sys.stdin.isatty()
        if not can_ask or not _is_agreed(question):
            change_set.withdraw()
            why = "you did not say yes" if can_ask else "without a terminal to ask on, add --yes"
            raise CommandError(f"nothing applied; {why}", EXIT_FAILED)
    change_set.execute(to_stderr)
    return True


def _is_agreed(question: str) -> bool:
    to_stderr(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _show(args: argparse.Namespace, name: str, changes: list[dict[str, Any]]) -> None:
    if args.json:
        print_json({"stage": name, "changes": changes})
    elif changes:
        print_table(tuple(changes[0]), [tuple(change.values()) for change in changes])
