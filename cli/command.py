"""How a command line begins and ends, and the only place that looks after standard output itself.

What a command prints is its answer: one that got lost is no success, however well the command ran.
"""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from cli.exits import EXIT_FAILED, EXIT_USAGE


def run_and_exit(main: Callable[[], int]) -> NoReturn:
    """Run a command and leave with its exit code.

    With standard output closed (`>&-`) nothing is begun: Python would drop the answer without a word, and
    the first file or socket to be opened would take its number and get whatever a child prints.
    """
    # None where the descriptor is closed (library reference, sys.__stdout__), which the types do not say.
    if getattr(sys, "stdout", None) is None:
        print(
            "error: standard output is closed; let it go somewhere, to /dev/null if nobody reads it",
            file=sys.stderr,
        )
        sys.exit(EXIT_USAGE)
    try:
        code = main()
        sys.stdout.flush()
    except OSError as exc:
        code = EXIT_FAILED
        if not isinstance(exc, BrokenPipeError):  # whoever read it had seen enough
            print(f"error: {exc.filename or 'output'}: {exc.strerror}", file=sys.stderr)
        # What Python still flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
