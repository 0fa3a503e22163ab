"""`python -m local`: the command line of the local pipeline.  What it does is in demo.py and serve.py."""

if __name__ == "__main__":
    from cli.command import run_and_exit

    run_and_exit("local")

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ConfigurationError, LifecycleError
from cli.arguments import Commands, add_command, count, positive, share, whole_number
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE

if TYPE_CHECKING:
    from local.commands.serve import Home

#: What each command's help ends with.
EXAMPLES_OF = {
    "demo": """\
  # 2,000 events of 200 products through the whole pipeline, every one of them checked
  python -m local demo

  # a burst; the figures as one JSON object
  python -m local demo --events 100000 --products 10000 --json

  # recorded input in somebody else's field names
  python -m local demo --from recorded.ndjson --map serial=sn --map occurred_at=timestamp

  # on a bad day: DynamoDB throttles and goes away, workers die, batches come twice
  python -m local demo --events 20000 --fault throttle=0.2 --fault outage=5s --fault crash=0.005

  # a burst on shards that take no more than AWS's do
  python -m local demo --events 20000 --shard-limits
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

  # on a bad day
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
    from botocore.exceptions import BotoCoreError, ClientError

    from local.commands.audit import AuditError
    from local.emulator.process import EndpointError
    from local.pipeline import PipelineError
    from local.stack import StackError

    try:
        return _run(args)
    except ConfigurationError as exc:
        return _error(str(exc), EXIT_USAGE)
    except (EndpointError, PipelineError, StackError) as exc:
        return _error(str(exc), EXIT_UNAVAILABLE)
    except (AuditError, BotoCoreError, ClientError, LifecycleError) as exc:
        return _error(f"the pipeline does not answer any more: {exc}", EXIT_UNAVAILABLE)
    except OSError as exc:
        return _error(f"{exc.filename or 'output'}: {exc.strerror}", EXIT_FAILED)


def _run(args: argparse.Namespace) -> int:
    # Imported here: neither --help nor a wrong option needs boto3, rich and faker.
    if args.command == "demo":
        from local.commands import demo

        return demo.run(args)
    if args.command == "demo-failures":
        from local.commands import demo_failures

        return demo_failures.run(args)
    from local.commands import serve
    from local.faults import switchboard

    home = serve.Home(args.home or serve.default_home())
    if args.command == "reset":
        return _reset(args, home)
    try:
        serve.serve(
            home,
            stage=args.stage,
            api_port=args.port or None,
            endpoint_port=args.endpoint_port or None,
            as_json=args.json,
            say=serve.to_stderr,
            to_go_wrong=switchboard.combined(args.fault) if args.fault else None,
            seed=args.seed,
            shard_limits=args.shard_limits,
        )
    except KeyboardInterrupt:
        serve.to_stderr("stopped")
    return EXIT_OK


def _reset(args: argparse.Namespace, home: "Home") -> int:
    from local.commands import serve

    done: list[str] = []

    def say(line: str) -> None:
        done.append(line)
        serve.to_stderr(line)

    serve.reset(home, stage=args.stage, say=say)
    if args.json:
        print(json.dumps({"stage": args.stage, "home": str(home.directory), "done": done}))
    return EXIT_OK


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
    _bad_days(serve)
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
    _bad_days(demo)


def _bad_days(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what is to go wrong, may be repeated: throttle, timeout, crash or duplicate with a share, "
        "outage with a duration (10s), handler-bug with a product's serial",
    )
    command.add_argument(
        "--shard-limits",
        action="store_true",
        help="each shard takes 1,000 records and 1 MB a second, as on AWS, and refuses the rest",
    )


def _fault(text: str) -> tuple[str, Any]:
    from local.faults import switchboard

    try:
        return switchboard.fault(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _error(sentence: str, code: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code
