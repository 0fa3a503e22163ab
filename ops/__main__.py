"""`python -m ops`: the command line of the operators' verbs.  What each does is in the module of its noun."""

if __name__ == "__main__":
    from cli.command import run_and_exit

    run_and_exit("ops")

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED
from ops.output import CommandError, say

#: The modules of the nouns, each with `add(nouns)`, in the order of the help.
NOUNS = (
    "ops.records.quarantine",
    "ops.records.dead_letters",
    "ops.records.replay",
    "ops.deploy.doctor",
    "ops.deploy.mapping",
    "ops.deploy.package",
    "ops.deploy.policies",
    "ops.deploy.stack",
    "ops.deploy.token",
    "ops.records.history",
    "ops.records.void",
    "ops.records.tail",
    "ops.planning.plan",
    "ops.planning.simulate",
)

EPILOG = """\
each command's help ends with examples: python -m ops NOUN VERB --help

exit codes:
  0    done, and everything asked for is true
  1    it ran, but some of what was asked for could not be done: unknown id, wrong status, still invalid;
       or its answer got lost, because whoever read it stopped, or the disk is full
  2    the command line or a file it names is unusable, or standard output is closed
  3    the stream, a table, a queue or the endpoint could not be reached
  130  Ctrl-C: the summary says how far it got
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = parser().parse_args(argv)
    # Imported here: neither --help nor a wrong option needs boto3.
    from cli import stage
    from ops import clients

    try:
        with clients.reported():
            stage.use(args.stage)
            code: int = args.run(args)
            sys.stdout.flush()
            return code
    except CommandError as exc:
        say(f"error: {exc}")
        return exc.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; what Python still flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def parser() -> argparse.ArgumentParser:
    """The command line of all nouns."""
    top = argparse.ArgumentParser(
        prog="python -m ops",
        description="What operators do: look, correct, send again.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    nouns = top.add_subparsers(dest="noun", required=True, metavar="NOUN")
    for noun in NOUNS:
        importlib.import_module(noun).add(nouns)
    return top
