"""`python -m benchmarks`: run them, print medians and spread, and judge the ratios against their bars."""

if __name__ == "__main__":
    from cli.command import run_and_exit

    run_and_exit("benchmarks")

import argparse
import importlib
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import bars, measure, report
from benchmarks.harness.measure import ContenderError, Line, Plan
from cli.arguments import whole_number
from cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_UNAVAILABLE
from cli.output import to_stderr

#: In the order they are run; the long ones last.
NAMES = (
    "ingest",
    "write_units",
    "lookup",
    "forms",
    "cold",
    "memory",
    "producer",
    "trickle",
    "simulation",
    "spike",
)

EXAMPLES = """\
examples:
  # everything, and what docs/performance.md shows of it (a little over twenty minutes)
  python -m benchmarks --write docs

  # two of them, five runs each
  python -m benchmarks ingest lookup --runs 5

  # does it still run? (two minutes; small sizes, nothing is judged)
  python -m benchmarks --quick

  # tables and charts of docs/performance.md from the run that is kept beside it
  python -m benchmarks --from docs/performance.ndjson --write docs

exit codes:
  0    every bar that was measured holds
  1    a bar does not hold
  2    the command line is wrong, or standard output is closed
  3    a contender failed
  130  Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        lines = _kept(args.kept) if args.kept else _run(args)
    except ContenderError as exc:
        to_stderr(f"error: {exc}")
        return EXIT_UNAVAILABLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if args.write is not None:
        from benchmarks.harness import charts, document

        for path in [*charts.write(lines, args.write), *document.write(lines, args.write)]:
            to_stderr(f"written: {path}")
    return EXIT_OK if all(line.get("holds", True) for line in lines) else EXIT_FAILED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="How fast it is, beside what a user would write instead.  Ratios within one run count.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(NAMES)} (all)")
    top.add_argument(
        "--runs", type=whole_number(1, 100), default=3, metavar="N", help="runs of each contender (3)"
    )
    top.add_argument("--quick", action="store_true", help="one run of small sizes; nothing is judged")
    top.add_argument("--json", action="store_true", help="one JSON object a line instead of tables")
    top.add_argument(
        "--from", dest="kept", type=Path, metavar="FILE", help="what `--json` printed, instead of running"
    )
    top.add_argument(
        "--write",
        type=Path,
        metavar="DIR",
        help="write the charts, the tables of performance.md and the run that has them all there",
    )
    return top


def _run(args: argparse.Namespace) -> list[Line]:
    names = args.names or NAMES
    for name in names:
        if name not in NAMES:
            parser().error(f"no benchmark {name!r}; there are {', '.join(NAMES)}")
    plan = Plan(1 if args.quick else args.runs, args.quick, to_stderr)
    show = _print_json if args.json else report.show
    lines = [measure.header()]
    show(lines)
    for name in names:
        measured = list(importlib.import_module(f"benchmarks.{name}").run(plan))
        show(measured)
        lines += measured
    if not args.quick:
        verdicts = list(bars.judged(lines))
        show(verdicts)
        lines += verdicts
    return lines


def _kept(path: Path) -> list[Line]:
    return [json.loads(row) for row in path.read_text().splitlines()]


def _print_json(lines: Sequence[Line]) -> None:
    for line in lines:
        print(json.dumps(line), flush=True)
