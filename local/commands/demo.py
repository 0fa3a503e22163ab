"""`demo`: a run of the whole pipeline that checks every event, and reports what it measured.

It brings producer, pipeline and audit together; what it reports is what it read back.
"""

import argparse
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chalicelib import settings, wiring
from cli.output import to_stderr
from local import pipeline
from local.commands import demo_output, temporary_run
from local.commands.audit import Produced, audit
from local.draining import STALL_S, wait_until_drained
from local.faults import switchboard
from local.observers.counters import Stopwatch
from local.pipeline import Pipeline, PipelineError, Plan
from producer import send
from producer.putter import Putter
from producer.report import Report
from producer.source import Source

#: Events that are generated unless told otherwise.
EVENTS = 2000


def run(args: argparse.Namespace) -> int:
    """Run the demo that `args` asks for; returns the exit code.

    Raises what `pipeline.running` raises, ConfigurationError for options that do not go together or an
    unreadable file, AuditError when the API is gone.
    """
    if args.events is None and args.source is None:
        args.events = EVENTS  # a recorded file is read whole unless told otherwise
    watch = Stopwatch()
    with Source(args, say=to_stderr) as source:
        return temporary_run.exit_code(watch, lambda logs: _run(args, source, watch, logs))


def _run(args: argparse.Namespace, source: Source, watch: Stopwatch, logs: Path) -> bool:
    """Whether the run was clean."""
    say = (lambda line: None) if args.json else to_stderr
    board = switchboard.board(args.fault, logs / "faults", args.seed, say)
    plan = Plan(
        args.stage or temporary_run.stage(),
        logs,
        is_temporary=args.stage is None,
        faults=board,
        shard_limits=args.shard_limits,
        poll_interval_s=args.poll_interval,
    )
    with pipeline.running(plan, watch, say) as running:
        figures, examples, produced = _observed(args, source, watch, running)
        if board is not None:
            figures["faults"] = board.counts()
        if not args.json:
            demo_output.tell(figures, examples, produced)
    if args.json:
        print(json.dumps(figures), flush=True)
    return not demo_output.shortcomings(figures)


def _observed(
    args: argparse.Namespace, source: Source, watch: Stopwatch, running: Pipeline
) -> tuple[dict[str, Any], Sequence[str], Produced]:
    """Send, wait, audit; returns the figures, examples of what is wrong, and what was produced.

    Raises PipelineError when the stage holds something already.
    """
    if running.stored() or next(wiring.quarantine().ids("open"), None) is not None:
        raise PipelineError(
            f"stage {running.stage} at {running.endpoint.url} holds events already, and the audit would "
            "take them for unexpected ones; choose another with --stage"
        )
    produced = Produced()
    entries = [entry for entry in source.entries if entry is not None]
    produced.entries(entries)
    with demo_output.bars(is_shown=not args.json) as bar:
        show_sent, show_stored = bar("sent", len(entries)), bar("stored", len(entries))
        show_read = bar("read back", len(produced.products))

        def answered(report: Report) -> None:
            show_sent(report.sent)
            show_stored(report.sent - watch.outstanding)

        putter = Putter(
            send.client(),
            settings.stream_name(),
            ordered=not args.shuffle,  # order costs requests, and a shuffled run has none
            on_accepted=watch.accepted,
            on_answer=answered,
        )
        started_at = time.time()
        report = putter.send(entries)
        drained = wait_until_drained(running, watch, lambda left: show_stored(report.sent - left))
        if not drained:
            to_stderr(f"nothing has happened for {STALL_S:.0f} s; the audit sees what there is")
        audit_began = time.monotonic()
        products_read = itertools.count(1)
        verdict = audit(
            running.api_url,
            produced,
            (case.payload for case in wiring.quarantine().list("open")),
            stored=running.stored(),
            on_product=lambda: show_read(next(products_read)),
        )
    counts = watch.counts()
    ended_at = max(watch.last_done_at, watch.last_accepted_at)
    figures = {
        "produced": report.accepted["event"],
        "distinct": produced.distinct,
        "products": len(produced.products),
        "duplicates_sent": report.accepted["duplicate"],
        "poison_sent": report.accepted["poison"],
        "rejected": len(report.rejected),
        "skipped_lines": source.skipped,
        **verdict.figures(),
        "drained": drained,
        # Seconds count from the first request; latency is per event.
        "seconds_produce": round(watch.last_accepted_at - started_at, 3),
        "seconds_drain": round(ended_at - watch.last_accepted_at, 3),
        "seconds_audit": round(time.monotonic() - audit_began, 3),
        "events_per_second": round(verdict.queryable / (ended_at - started_at)) if verdict.queryable else 0,
        "latency_ms": watch.latency_ms(),
        "iterator_age_ms_max": round(counts.iterator_age_ms_max, 1),
        "invocations": counts.invocations,
        "failed_invocations": counts.failed_invocations,
        "bisects": counts.bisects,
        "dead_lettered": counts.discarded,
        "retried": report.retried,
        "seed": source.seed,
        "now": source.now.isoformat(),
    }
    return figures, verdict.examples, produced
