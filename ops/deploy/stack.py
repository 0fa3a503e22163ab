"""`ops stack`: the data stack of a stage, brought to AWS with a change set that somebody reads first.

What a stage's parameters are stands in `infra/stages.json`; everything it does not name has the default of
`infra/resources.yaml`.  A laptop's stack is made by `local/stack.py`, where nobody reads anything.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from cli.exits import EXIT_FAILED, EXIT_OK
from infra import template
from ops import arguments
from ops.output import CommandError, say, table, tell_json

if TYPE_CHECKING:
    from ops.deploy.change_set import ChangeSet

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

STAGES = template.RESOURCES.with_name("stages.json")


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    verbs = nouns.add_parser(
        "stack", help="stream, tables, queues, alarms", description="The data stack of a stage."
    ).add_subparsers(dest="verb", required=True, metavar="VERB")
    parser = arguments.command(
        verbs, "apply", "create or update the stack, showing the changes first", EXAMPLES
    )
    _add_options(parser)
    parser.add_argument(
        "--replace",
        action="store_true",
        help="also apply changes that replace a resource and lose what it holds",
    )
    parser.set_defaults(run=apply)
    parser = arguments.command(
        verbs,
        "adopt",
        "take what a deleted stack left behind into a new one, showing it first",
        ADOPT_EXAMPLES,
    )
    _add_options(parser)
    parser.set_defaults(run=adopt)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a parameter for this time only, over infra/stages.json; may be repeated",
    )


def apply(args: argparse.Namespace) -> int:
    """Show the changes, ask, apply, wait.  The changes are the answer."""
    from ops import clients
    from ops.deploy import retained_resources
    from ops.deploy.change_set import ChangeSet

    stage = settings.stage()
    wanted = parameters(stage, STAGES, dict(args.set))
    change_set = ChangeSet(clients.cloudformation(), stage)
    # CloudFormation would find out halfway, and leave a stack that can only be deleted.
    if change_set.is_first and (there := retained_resources.find(wanted)):
        raise CommandError(
            f"{', '.join(each.name for each in there)}: there already, kept when a stack was deleted; "
            f"take this into the new stack first: python -m ops stack adopt --stage {stage}",
            EXIT_FAILED,
        )
    changes = change_set.propose(wanted)
    _show(args, stage, [msgspec.to_builtins(change) for change in changes])
    if not changes:
        say(f"{change_set.stack} is up to date")
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
    if _carried_out(args, change_set, f"apply this to {change_set.stack}?"):
        say(f"{change_set.stack} is up to date")
    return EXIT_OK


def adopt(args: argparse.Namespace) -> int:
    """Show what would be taken over, ask, import, wait.  What is taken over is the answer."""
    from ops import clients
    from ops.deploy import retained_resources
    from ops.deploy.change_set import ChangeSet

    stage = settings.stage()
    # What is left behind was `kept`, whatever the stage is to become: `apply` sees the difference.
    there_as = {**parameters(stage, STAGES, dict(args.set)), "Data": "kept"}
    change_set = ChangeSet(clients.cloudformation(), stage)
    then = f"python -m ops stack apply --stage {stage}"
    if not change_set.is_first:
        raise CommandError(f"{change_set.stack} is there already; {then} brings it up to date", EXIT_FAILED)
    there = retained_resources.find(there_as)
    if not there:
        raise CommandError(f"nothing was left behind for {change_set.stack}; {then} makes it", EXIT_FAILED)
    changes = change_set.propose_import(
        there_as, retained_resources.import_template(there), [each.to_import() for each in there]
    )
    names = {each.resource: each.name for each in there}
    _show(
        args,
        stage,
        [
            {
                "action": each.action,
                "resource": each.resource,
                "type": each.type,
                "name": names[each.resource],
            }
            for each in changes
        ],
    )
    if _carried_out(args, change_set, f"take this into {change_set.stack}?"):
        say(f"{change_set.stack} has it, as it was; next, for the rest: {then}")
    return EXIT_OK


def _carried_out(args: argparse.Namespace, change_set: "ChangeSet", question: str) -> bool:
    """Execute the change set unless it is a dry run.  Raises CommandError when nobody says yes."""
    if args.dry_run:
        change_set.withdraw()
        say("nothing applied: --dry-run")
        return False
    if not args.yes:
        can_ask = sys.stdin.isatty()
        if not can_ask or not _agreed(question):
            change_set.withdraw()
            why = "you did not say yes" if can_ask else "without a terminal to ask on, add --yes"
            raise CommandError(f"nothing applied; {why}", EXIT_FAILED)
    change_set.execute(say)
    return True


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


def _show(args: argparse.Namespace, stage: str, changes: list[dict[str, str]]) -> None:
    if args.json:
        tell_json({"stage": stage, "changes": changes})
    elif changes:
        table(tuple(changes[0]), [tuple(change.values()) for change in changes])


def _agreed(question: str) -> bool:
    say(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
