"""`demo-failures`: the failure path in four acts, each described with what was observed, and an audit.

Faults are turned on and off while the pipeline runs.  What fails, fails for real: the code raises, DynamoDB
does not answer, the mapping bisects and dead-letters, triage re-reads the stream, and redriving is what
`python -m ops quarantine redrive` does.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from chalicelib import settings, wiring
from cli.output import to_stderr
from local import pipeline
from local.commands import temporary_run
from local.commands.audit import Produced, audit
from local.draining import wait_until_drained
from local.faults.switchboard import Faults, Switchboard
from local.observers.counters import Stopwatch
from local.observers.function_logs import verdicts as triage_verdicts
from local.pipeline import Pipeline, Plan
from producer import send
from producer.aggregate import hash_key_of, open_shards
from producer.entry import Entry, event_entry
from producer.lives import lives
from producer.putter import Putter

CLEAN_EVENTS = 500
BATCH = 200

#: The outage, and what arrives while it lasts: a fifth of it afterwards.
OUTAGE_S = 10.0
OUTAGE_EVENTS, OUTAGE_RATE = 2_400, 200.0

PILL = b"serial=SN-0815;type=service"


def run(args: argparse.Namespace) -> int:
    """Run the four acts; returns the exit code.  Raises what `pipeline.running` raises."""
    watch = Stopwatch()

    def run_in(logs: Path) -> bool:
        seed = random.SystemRandom().randrange(2**32) if args.seed is None else args.seed
        board = Switchboard(logs / "faults", seed=seed)
        plan = Plan(temporary_run.stage(), logs, is_temporary=True, faults=board)
        with pipeline.running(plan, watch, (lambda _: None) if args.json else to_stderr) as running:
            demo = FailureDemo(running, watch, board, logs, seed, is_told=not args.json)
            is_clean = demo.run()
        if args.json:
            print(json.dumps(demo.figures), flush=True)
        return is_clean

    return temporary_run.exit_code(watch, run_in)


class FailureDemo:
    """The acts, in their order, and the figures they leave."""

    def __init__(
        self, running: Pipeline, watch: Stopwatch, board: Switchboard, logs: Path, seed: int, *, is_told: bool
    ) -> None:
        self._running = running
        self._watch = watch
        self._board = board
        self._logs = logs
        self._seed = seed
        self._is_told = is_told
        self._produced = Produced()
        self._kinesis = send.client()
        self._now = datetime.now(timezone.utc)
        self._is_drained = True
        self._redriven = 0
        self._in_outage = 0
        self._failed_in_outage = 0
        self.figures: dict[str, Any] = {}

    def run(self) -> bool:
        """Run all acts and the audit; True when nothing is lost and the acts were as told."""
        began = time.monotonic()
        self._clean_run()
        self._poison_record()
        self._handler_bug()
        self._outage()
        return self._audit(began)

    def _clean_run(self) -> None:
        self._act("1  A clean run")
        self._send(map(event_entry, lives(CLEAN_EVENTS, CLEAN_EVENTS // 10, self._seed, self._now)))
        counts = self._watch.counts()
        self._tell(
            f"{CLEAN_EVENTS} events sent and stored in {counts.invocations} invocations, "
            f"{counts.failed_invocations} of them failed."
        )

    def _poison_record(self) -> None:
        self._act("2  A poison record")
        entries = [event_entry(data) for data in lives(20, 4, self._seed + 1, self._now)]
        before = self._watch.counts()
        self._send([*entries[:10], Entry(PILL, entries[0].partition_key, "poison"), *entries[10:]])
        for head in wiring.quarantine().heads("open"):
            self._tell(
                f"Among 20 events one record is no event.  In quarantine: {head.reason}: {head.sentence}"
            )
        counts = self._watch.counts()
        self._tell(
            f"It held up no other record: {counts.invocations - before.invocations} invocations, "
            f"{counts.failed_invocations - before.failed_invocations} of them failed."
        )

    def _handler_bug(self) -> None:
        self._act(f"3  A bug in the code, met by one record among {BATCH}")
        entries = self._one_batch()
        culprit = entries[BATCH * 2 // 3].partition_key
        before = self._watch.counts()
        self._board.switch(Faults(handler_bug=(culprit,)))
        self._send(entries)
        counts = self._watch.counts()
        self._tell(
            f"The code raises on {culprit}.  Its batch of {counts.bisected_from} was bisected "
            f"{counts.bisects - before.bisects} times; the {counts.discarded - before.discarded} record left "
            f"was tried {1 + counts.retries - before.retries} times and dead-lettered, while the others were "
            "stored."
        )
        (head, *_) = [*wiring.quarantine().heads("open", reason="handler_error"), None]
        if head is not None:
            last = head.sentence.rstrip().splitlines()[-1]
            self._tell(f"Triage read it from the stream again and quarantined it with the traceback: {last}")
        self._board.switch(Faults())  # the fix is deployed
        self._redrive()
        self._tell(f"The bug is fixed; {self._redriven} record redriven from quarantine, and stored.")

    def _redrive(self) -> None:
        """What `ops quarantine redrive --all --reason handler_error` does."""
        from ops import clients
        from ops.records import redrive  # an operator's tools: the pipeline needs none of them

        clients.reset()
        quarantine, history = clients.quarantine(), clients.history()
        for head in list(quarantine.heads("open", reason="handler_error")):
            case = quarantine.get(head.id)
            if case is None or redrive.why_not_redrivable(case) is not None:
                continue
            future = redrive.preview(case.payload, history)
            if future.verdict == redrive.STILL_INVALID:
                continue
            redrive.redrive(
                case,
                None,
                future.serial,
                kinesis=clients.kinesis(),
                stream=settings.stream_name(),
                quarantine=quarantine,
                who="demo-failures",
            )
            self._redriven += 1
        self._drain()

    def _outage(self) -> None:
        self._act(f"4  DynamoDB does not answer for {OUTAGE_S:g} seconds")
        before = self._watch.counts()
        self._board.switch(Faults(outage_s=OUTAGE_S))
        began = time.monotonic()
        entries = map(event_entry, lives(OUTAGE_EVENTS, OUTAGE_EVENTS // 10, self._seed + 3, self._now))
        self._send(entries, rate=OUTAGE_RATE)
        self._board.switch(Faults())
        counts = self._watch.counts()
        self._in_outage = counts.invocations - before.invocations
        self._failed_in_outage = counts.failed_invocations - before.failed_invocations
        self._tell(
            f"{OUTAGE_EVENTS:,} events arrived meanwhile, {self._board.counts().get('outage', 0):,} requests "
            f"went unanswered.  The functions waited it out: {self._in_outage} invocations in all, "
            f"{self._failed_in_outage} of them failed, and everything was "
            f"stored {time.monotonic() - began:.0f} s after the first event."
        )

    def _audit(self, began: float) -> bool:
        self._act("The audit, through the REST API")
        verdict = audit(
            self._running.api_url,
            self._produced,
            (case.payload for case in wiring.quarantine().list("open")),
            stored=self._running.stored(),
        )
        counts = self._watch.counts()
        verdicts = triage_verdicts(self._logs / "triage_dead_letters.log")
        quarantined = verdict.quarantined + verdict.wrongly_quarantined + self._redriven
        self.figures = {
            "produced": self._produced.distinct,
            "queryable": verdict.queryable,
            "missing": verdict.missing,
            "unexpected": verdict.unexpected,
            **asdict(counts),
            "triaged": dict(verdicts),
            "quarantined": quarantined,
            "redriven": self._redriven,
            "outage_seconds": OUTAGE_S,
            "outage_invocations": self._in_outage,
            "outage_failed_invocations": self._failed_in_outage,
            "outage_requests_unanswered": self._board.counts().get("outage", 0),
            "drained": self._is_drained,
            "seconds": round(time.monotonic() - began, 1),
            "seed": self._seed,
        }
        for example in verdict.examples:
            self._tell(example)
        untrue = self._untrue(verdicts)
        is_clean = verdict.is_clean and self._is_drained and not untrue
        self._tell(
            f"{verdict.queryable:,} of {self._produced.distinct:,} events read back exactly as sent; "
            f"missing {verdict.missing}, unexpected {verdict.unexpected}, still in quarantine "
            f"{verdict.quarantined}, redriven {self._redriven}."
        )
        for sentence in untrue:
            to_stderr(f"not as told: {sentence}")
        self._tell("Nothing is lost." if is_clean else "NOT everything went as it should.")
        return is_clean

    def _untrue(self, verdicts: Counter[str]) -> list[str]:
        """What the acts promise and did not happen.  An audit alone would pass a story without failures."""
        claims = {
            "the batch was bisected": self._watch.counts().bisected_from > 1,
            "one record was dead-lettered": self._watch.counts().discarded == 1,
            "triage quarantined it with the traceback": verdicts["handler_error"] == 1,
            "it was redriven": self._redriven == 1,
            "DynamoDB was away": self._board.counts().get("outage", 0) > 0,
        }
        return [claim for claim, is_true in claims.items() if not is_true]

    def _one_batch(self) -> list[Entry]:
        """Events of as many products whose keys belong to one shard, so that one batch holds them all."""
        shards = sorted(open_shards(self._kinesis, settings.stream_name()))
        end = shards[1].start if len(shards) > 1 else 2**128
        count = BATCH * 2 * len(shards)
        entries = map(event_entry, lives(count, count, self._seed + 2, self._now))
        return [entry for entry in entries if hash_key_of(entry.partition_key) < end][:BATCH]

    def _send(self, entries: Iterable[Entry], rate: float | None = None) -> None:
        """Send, expect in the audit, and wait until everything has its place."""
        entries = list(entries)
        self._produced.entries(entries)
        stream, accepted = settings.stream_name(), self._watch.accepted
        Putter(self._kinesis, stream, ordered=False, rate=rate, on_accepted=accepted).send(entries)
        self._drain()

    def _drain(self) -> None:
        self._is_drained &= wait_until_drained(self._running, self._watch)

    def _act(self, title: str) -> None:
        if self._is_told:
            print(f"\n{title}", flush=True)

    def _tell(self, sentence: str) -> None:
        if self._is_told:
            print(f"   {sentence}", flush=True)
