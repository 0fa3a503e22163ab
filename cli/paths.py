"""Where the project's files are.  The only place that knows how deep the folders of the code lie."""

from pathlib import Path

#: The checkout's top folder.
ROOT = Path(__file__).resolve().parent.parent
