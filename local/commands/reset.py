"""`reset`: forget everything that is stored."""

import argparse
import json
import os
import shutil
from collections.abc import Iterator

from cli.exits import EXIT_OK
from cli.output import to_stderr
from local import aws, pipeline, stack
from local.commands.home import Home, default_home
from local.emulator import process


def run(args: argparse.Namespace) -> int:
    """Forget what `args` names; returns the exit code.

    Raises PipelineError when a pipeline runs from there, EndpointError and StackError as `pipeline.remove`.
    """
    home = Home(args.home or default_home())
    done = []
    for line in reset(home, args.stage):
        to_stderr(line)
        done.append(line)
    if args.json:
        print(json.dumps({"stage": args.stage, "home": str(home.directory), "done": done}))
    return EXIT_OK


def reset(home: Home, stage: str) -> Iterator[str]:
    """Forget the kept state, or remove the stage's stack from the endpoint in AWS_ENDPOINT_URL.

    Yields what was done.
    """
    given = aws.given_endpoint()
    with home.locked():
        if given is not None:
            aws.use(aws.environment(stage, given.url, os.environ))
            with aws.answering(given):
                pipeline.remove(stage)
            yield f"removed stack {stack.name(stage)} from {given.url}"
            return
        left = process.recorded(home.record)
        if left is not None:
            left.stop(timeout_s=5)
            yield f"stopped the endpoint that an earlier run left at {left.url}"
        home.record.unlink(missing_ok=True)
        if home.state.exists():
            shutil.rmtree(home.state)
            yield f"removed {home.state}"
        else:
            yield f"nothing is stored in {home.state}"
