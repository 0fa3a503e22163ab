"""`python -m ops`: the operators' command line.  What each command does is in the module of its noun."""

if __name__ == "__main__":
    from cli.command import run_and_exit

    run_and_exit("ops")

import argparse
import importlib
import os
import sys
from collections.abc import Collection, Sequence

from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED
from cli.output import to_stderr
from ops.output import CommandError

#: The nouns in the order of the help: the module of each, with `add`, and its line in the help.
NOUNS = {
    "quarantine": ("ops.records.quarantine", "quarantined records: list, show, redrive, discard"),
    "dead-letters": ("ops.records.dead_letters", "discarded batches: list, redrive"),
    "replay": ("ops.records.replay", "run the stream's retained past through ingest again"),
    "doctor": ("ops.deploy.doctor", "check what is deployed for production readiness"),
    "mapping": ("ops.deploy.mapping", "event source mappings"),
    "package": ("ops.deploy.package", "build a stage's template and zip for aws cloudformation deploy"),
    "policies": ("ops.deploy.policies", "write the policy files of a stage's functions"),
    "stack": ("ops.deploy.stack", "stream, tables, queues, alarms"),
    "token": ("ops.deploy.token", "API tokens"),
    "history": ("ops.records.history", "print a product's story"),
    "void": ("ops.records.void", "take events out of a product's history"),
    "tail": ("ops.records.tail", "follow the stream, decoded"),
    "plan": ("ops.planning.plan", "size a deployment and price it before paying"),
    "simulate": ("ops.planning.simulate", "run a load through a simulated deployment"),
}

EPILOG = """\
each command's help ends with examples: python -m ops NOUN VERB --help

exit codes:
  0    done, and everything asked for is true
  1    it ran, but some of what was asked for could not be done: unknown id, wrong status, still invalid;
       or its answer got lost, because its reader stopped or the disk is full
  2    the command line or a file it names is unusable, or standard output is closed
  3    the stream, a table, a queue or the endpoint could not be reached
  130  Ctrl-C: the summary says how far it got
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    args = parser(argv[:1]).parse_args(argv)
    # Imported here: the help of all nouns needs no boto3.
    from cli import stage
    from ops import clients

    try:
        with clients.reported():
            stage.use(args.stage)
            code: int = args.run(args)
            sys.stdout.flush()
            return code
    except CommandError as exc:
        to_stderr(f"error: {exc}")
        return exc.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has stopped; what Python still flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def parser(complete: Collection[str] = NOUNS) -> argparse.ArgumentParser:
    """Return the parser of all nouns; those not in `complete` have no commands and are not imported."""
    top = argparse.ArgumentParser(
        prog="python -m ops",
        description="Inspect, correct, redrive, deploy and plan.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    nouns = top.add_subparsers(dest="noun", required=True, metavar="NOUN")
    for noun, (module, help) in NOUNS.items():
        if noun in complete:
            importlib.import_module(module).add(nouns, help)
        else:
            nouns.add_parser(noun, help=help)
    return top
