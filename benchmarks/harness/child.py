"""One contender in a process of its own: a function's name and arguments in, its figures out.

    python -m benchmarks.harness.child benchmarks.ingest:timed '{"contender": "ours", ...}'

What the contender itself prints (a handler's logs) goes nowhere, since on Lambda somebody else's process
takes it; the answer is one JSON object on standard output.
"""

import importlib
import json
import os
import sys


def main() -> None:
    """Call the function that the command line names and print what it returns."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    module, _, function = sys.argv[1].partition(":")
    figures = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    answer.write(json.dumps(figures))
    answer.flush()


if __name__ == "__main__":
    main()
