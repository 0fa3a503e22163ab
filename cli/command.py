"""How a command line begins and ends, and the only place that looks after standard output itself.

What a command prints is its answer: one that got lost is no success, however well the command ran.  And
whoever presses Ctrl-C knows that they did: it is never answered with a traceback, however early it comes.
"""

import importlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE


def run_and_exit(package: str) -> NoReturn:
    """Run `main` of the package's `__main__` and leave with its exit code.

    A `__main__` calls this before it imports anything: an import that Ctrl-C breaks off cannot be caught by
    the module whose import it is.  The module is then imported once more, under its own name, and run.

    With standard output closed (`>&-`) nothing is begun: Python would drop the answer without a word, and
    the first file or socket to be opened would take its number and get whatever a child prints.
    """
    at_once = _at_once()
    # None where the descriptor is closed (library reference, sys.__stdout__), which the types do not say.
    if getattr(sys, "stdout", None) is None:
        print(
            "error: standard output is closed; let it go somewhere, to /dev/null if nobody reads it",
            file=sys.stderr,
        )
        sys.exit(EXIT_USAGE)
    try:
        main = importlib.import_module(f"{package}.__main__").main
        if at_once:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:  # before the command had anything to say about it
        code = EXIT_INTERRUPTED
    except OSError as exc:
        code = EXIT_FAILED
        if not isinstance(exc, BrokenPipeError):  # whoever read it had seen enough
            print(f"error: {exc.filename or 'output'}: {exc.strerror}", file=sys.stderr)
        # What Python still flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _at_once()
    if threading.active_count() > 1:
        # Everything is tidied up by now, and Python would wait for a thread whose answer never comes.
        os._exit(code)
    sys.exit(code)


def _at_once() -> bool:
    """Let Ctrl-C end this process on the spot; whether it does, for a background job's is ignored.

    For when there is nothing to tidy up: while modules are imported, an exception can be raised where Python
    only prints it and goes on (weak reference callbacks of the import locks).
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    signal.signal(signal.SIGINT, _leave)
    return True


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(EXIT_INTERRUPTED)
