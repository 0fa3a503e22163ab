"""`python -m local`: the command line of the local pipeline.  Each command is a module of local/commands."""

if __name__ == "__main__":
    from cli.command import run_and_exit

    run_and_exit("local")

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from chalicelib.errors import ConfigurationError, LifecycleError
from cli.arguments import Commands, add_command, count, duration, positive, share, whole_number
from cli.exits import EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_USAGE
from cli.output import to_stderr
from local.event_sources.read_schedule import POLL_INTERVAL_S
from local.faults import switchboard

#: What each command's help ends with.
EXAMPLES_OF = {
    "demo": """\
  # 2,000 events of 200 products through the whole pipeline, every one of them checked
  python -m local demo

  # a burst; the figures as one JSON object
  python -m local demo --events 100000 --products 10000 --json

  # recorded input in somebody else's field names
  python -m local demo --from recorded.ndjson --map serial=sn --map occurred_at=timestamp

  # inject faults: DynamoDB throttles and is unavailable, workers die, batches come twice
  python -m local demo --events 20000 --fault throttle=0.2 --fault outage=5s --fault crash=0.005

  # a burst on shards that take no more than AWS's do, read at AWS's pace
  python -m local demo --events 20000 --shard-limits --poll-interval 1s
""",
    "demo-failures": """\
  # the failure path as a story: a poison record, a bug, an outage, and nothing is lost
  python -m local demo-failures

  # the same events again; the figures as one JSON object
  python -m local demo-failures --seed 7 --json
""",
    "serve": """\
  # the pipeline kept running until Ctrl-C: API on http://127.0.0.1:8000, AWS endpoint on port 4566
  python -m local serve

  # beside another one: other ports, other directory
  python -m local serve --port 8001 --endpoint-port 4567 --home ~/second-pipeline

  # inject faults
  python -m local serve --fault throttle=0.5 --fault outage=30s
""",
    "reset": """\
  # forget what `serve` has stored
  python -m local reset

  # what it kept somewhere else; for a program
  python -m local reset --home ~/second-pipeline --json
""",
}

EXAMPLES = (
    "examples:\n"
    + "\n".join(EXAMPLES_OF.values())
    + """
exit codes:
  0    demo: everything is there, exactly as sent; serve: it ran until Ctrl-C
  1    demo: something is missing, unexpected or not in quarantine
  2    the command line or the input file is unusable, or standard output is closed
  3    the pipeline could not be started, or stopped answering
  130  demo: Ctrl-C
"""
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = parser().parse_args(argv)
    # Imported here: neither --help nor a wrong option needs boto3, rich and faker.
    from botocore.exceptions import BotoCoreError, ClientError

    from local.commands.audit import AuditError
    from local.emulator.process import EndpointError
    from local.pipeline import PipelineError
    from local.stack import StackError

    try:
        code: int = import_module(f"local.commands.{args.command.replace('-', '_')}").run(args)
        return code
    except ConfigurationError as exc:
        return _error(str(exc), EXIT_USAGE)
    except (EndpointError, PipelineError, StackError) as exc:
        return _error(str(exc), EXIT_UNAVAILABLE)
    except (AuditError, BotoCoreError, ClientError, LifecycleError) as exc:
        return _error(f"the pipeline does not answer any more: {exc}", EXIT_UNAVAILABLE)
    except OSError as exc:
        return _error(f"{exc.filename or 'output'}: {exc.strerror}", EXIT_FAILED)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m local",
        description="The whole pipeline on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _demo(_command(commands, "demo", "run events through it and check every one of them"))
    failures = _command(
        commands, "demo-failures", "what goes wrong, and how nothing is lost, as a story of a minute"
    )
    failures.add_argument(
        "--seed", type=count, metavar="S", help="the same one gives the same events (random)"
    )
    failures.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    serve = _command(commands, "serve", "keep it running until Ctrl-C")
    port = whole_number(0, 65_535, "a port")
    serve.add_argument(
        "--port", type=port, default=8000, metavar="N", help="the API's; 0 is a free one (8000)"
    )
    serve.add_argument(
        "--endpoint-port", type=port, default=4566, metavar="N", help="the AWS endpoint's; 0 likewise (4566)"
    )
    serve.add_argument("--json", action="store_true", help="print the URLs as one JSON object")
    serve.add_argument("--seed", type=count, metavar="S", help="which of the invocations faults strike")
    _common(serve)
    reset = _command(commands, "reset", "forget what `serve` has stored")
    reset.add_argument("--json", action="store_true", help="print what was done as one JSON object")
    for command in serve, reset:
        command.add_argument("--stage", default="local", metavar="NAME", help="(local)")
        command.add_argument(
            "--home",
            type=Path,
            metavar="DIR",
            help="where state and logs lie (this checkout's own in XDG_STATE_HOME, or ~/.local/state)",
        )
    return top


def _command(commands: Commands, name: str, help: str) -> argparse.ArgumentParser:
    """Add a command whose help ends with its examples."""
    return add_command(commands, name, help, EXAMPLES_OF[name])


def _demo(demo: argparse.ArgumentParser) -> None:
    # Options of the producer that the demo does not offer; it reads them all the same.
    demo.set_defaults(forever=False, rate=None, dry_run=False, rejects=None, aggregate=False)
    demo.add_argument("--events", type=count, metavar="N", help="how many (2000); with --from: at most (all)")
    demo.add_argument("--products", type=positive, metavar="N", help="how many (a tenth of the events)")
    demo.add_argument("--seed", type=count, metavar="S", help="the same one gives the same events (random)")
    demo.add_argument("--duplicates", type=share, default=0.02, metavar="SHARE", help="sent twice (0.02)")
    demo.add_argument("--poison", type=count, default=5, metavar="N", help="records that are no events (5)")
    demo.add_argument(
        "--shuffle",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="arrival in no order at all (yes)",
    )
    demo.add_argument("--from", dest="source", metavar="FILE", help="recorded events; - for standard input")
    demo.add_argument("--format", choices=("ndjson", "csv"), help="(by the file's name, otherwise ndjson)")
    demo.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=NAME",
        help="our field and the file's name for it, such as serial=sn; may be repeated",
    )
    demo.add_argument("--stage", metavar="NAME", help="(one of its own)")
    demo.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    demo.set_defaults(now=None)
    _common(demo)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--fault",
        type=switchboard.fault,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a fault to inject, may be repeated: throttle, timeout, crash or duplicate with a share, "
        "outage with a duration (10s), handler-bug with a product's serial",
    )
    command.add_argument(
        "--shard-limits",
        action="store_true",
        help="each shard takes 1,000 records and 1 MB a second, as on AWS, and refuses the rest",
    )
    command.add_argument(
        "--poll-interval",
        type=duration("10ms", "1m"),  # more reads would keep the endpoint busy
        default=POLL_INTERVAL_S,
        metavar="DURATION",
        help="between two reads of an idle shard (100ms); 1s is AWS's own pace",
    )


def _error(sentence: str, code: int) -> int:
    to_stderr(f"error: {sentence}")
    return code
