"""`make` as a reader calls it, on the Python that runs the tests; nothing is installed by a test."""

import os
import sys
from pathlib import Path

#: What says that .venv and node_modules are set up.
STAMPS = (".venv/.ready-local", ".venv/.ready", "node_modules/.ready")

COMMAND = (
    "make",
    "--no-print-directory",
    *(f"--old-file={stamp}" for stamp in STAMPS),
    f"BIN={Path(sys.executable).parent}",
)

#: `make test` is a make too, and what it was called with is not for these.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
}
