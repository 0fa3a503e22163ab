"""The entries that a command line asks for: generated or read, mixed, and stopped by Ctrl-C.

The only place that knows which options go together.
"""

import argparse
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from chalicelib.errors import ConfigurationError
from producer import epcis_input, recorded
from producer.entry import Entry
from producer.live import polled
from producer.lives import lives
from producer.mix import arrivals

DEFAULT_EVENTS = 1000
EVENTS_PER_PRODUCT = 10

#: Products alive at a time under `--forever`; each such generation is drawn anew.
FOREVER_PRODUCTS = 1000

# Formats by how a file's name ends.
_BY_NAME = {".csv": "csv", ".jsonld": "epcis", ".xml": "epcis"}


class Source:
    """What to send.  `entries` is read once; the rest is known as it goes.  A context manager."""

    def __init__(self, args: argparse.Namespace, say: Callable[[str], None]) -> None:
        """Raises ConfigurationError for options that do not go together or an unreadable file.

        `say` is told about lines that cannot become an event.
        """
        self._args = args
        self._say = say
        self._is_stopped = False
        self._is_live = False
        self._file: BinaryIO | None = None
        self.skipped = 0  # lines that cannot become an event
        self.example: str | None = None  # the serial of a product that was sent
        self.total: int | None = None  # entries to expect, where that is known
        self.seed = secrets.randbelow(2**32) if args.seed is None else args.seed
        self.now = args.now or datetime.now(timezone.utc).replace(microsecond=0)
        _check(args)
        events = self._generated() if args.source is None else self._recorded()
        self._entries = arrivals(events, args.duplicates, args.poison, args.shuffle, self.seed)

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def entries(self) -> Iterator[Entry | None]:
        """The entries, until they end or `stop` is called; None where a live input has nothing just now."""
        entries = polled(self._entries) if self._is_live else self._entries
        for entry in entries:
            if self._is_stopped:
                return
            if self.example is None and entry is not None and entry.kind == "event":
                self.example = entry.partition_key
            yield entry

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopped

    def stop(self) -> None:
        """Nothing more is read; what has been read can still be sent."""
        self._is_stopped = True

    def _generated(self) -> Iterator[bytes]:
        args = self._args
        if args.forever:
            return self._endless(args.products or FOREVER_PRODUCTS)
        events = DEFAULT_EVENTS if args.events is None else args.events
        self.total = round(events * (1 + args.duplicates)) + args.poison
        return lives(events, args.products or max(1, events // EVENTS_PER_PRODUCT), self.seed, self.now)

    def _endless(self, products: int) -> Iterator[bytes]:
        for generation in itertools.count():
            now = self._args.now or datetime.now(timezone.utc)
            yield from lives(products * EVENTS_PER_PRODUCT, products, self.seed + generation, now)

    def _recorded(self) -> Iterator[bytes]:
        args = self._args
        mapping = recorded.parse_mapping(args.map)
        if args.source == "-":
            # A file object of our own: a thread that waits on sys.stdin would hold up the interpreter's end.
            # Nor is it ever closed: that would wait for the thread as well.
            file: BinaryIO = open(0, "rb", closefd=False)  # noqa: SIM115 - see above
            self._is_live = not stat.S_ISREG(os.fstat(0).st_mode)
        else:
            try:
                file = self._file = open(args.source, "rb")  # noqa: SIM115 - closed by __exit__
            except OSError as exc:
                raise ConfigurationError(f"{args.source}: {exc.strerror}") from exc
        format = args.format or _BY_NAME.get(Path(args.source).suffix.lower(), "ndjson")
        if format == "epcis":
            if mapping:
                raise ConfigurationError("--map: EPCIS has its own names for everything; leave it out")
            return self._events(epcis_input.read(file), "event")
        return self._events(recorded.read(recorded.lines_of(file), format, mapping), "line")

    def _events(self, lines: Iterable[recorded.Line], unit: str) -> Iterator[bytes]:
        sent = 0
        for line in lines:
            if line.data is None:
                self.skipped += 1
                self._say(f"{unit} {line.number}: {line.reason}" if line.number else str(line.reason))
                continue
            if sent == self._args.events:
                self._say(f"stopped after {sent} events (--events); the input has more")
                return
            sent += 1
            yield line.data


def _check(args: argparse.Namespace) -> None:
    if args.source is None:
        if args.map or args.format:
            raise ConfigurationError("--map and --format say how to read a file; name it with --from")
    elif args.products is not None or args.forever:
        raise ConfigurationError("--products and --forever are for generated events; leave out --from")
    if args.forever:
        if args.rate is None and not args.dry_run:
            raise ConfigurationError("--forever needs --rate, such as --rate 8")
        if args.events is not None or args.shuffle:
            raise ConfigurationError("--forever goes without --events and --shuffle")
    if args.aggregate and args.rate is not None:
        raise ConfigurationError(
            "--aggregate waits for a record to be full, --rate for the next event: take one"
        )
    if args.rejects is not None:
        if not Path(args.rejects).absolute().parent.is_dir():
            raise ConfigurationError(f"--rejects: there is no directory for {args.rejects!r}")
        if args.source is not None and os.path.realpath(args.rejects) == os.path.realpath(args.source):
            raise ConfigurationError("--rejects: the file that is read cannot be written as well")
