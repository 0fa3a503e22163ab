"""A Kinesis event source mapping on this machine: finds the stream's shards and runs each.

A shard starts when all its parents are read and done to their end, so that a key's records stay in order
across splits and merges.  The starting position holds for shards that existed when the mapping was created; a
shard created later is read from its oldest record.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import ConfigurationError
from local import arns
from local.event_sources import lambda_events
from local.event_sources.checkpoints import Checkpoints, MappingOrigin, ShardCheckpoint, ShardProgress
from local.event_sources.failure_destination import FailureDestination
from local.event_sources.invocation_record import MappedShard
from local.event_sources.observer import Observer
from local.event_sources.queues import queue_url
from local.event_sources.read_schedule import POLL_INTERVAL_S, ReadSchedule
from local.event_sources.settings import AT_TIMESTAMP, LATEST, KinesisSettings
from local.event_sources.shard_reader import ReadLaterError, ShardGoneError, ShardReader, Start
from local.event_sources.shard_runner import ShardRunner
from local.event_sources.shard_state_machine import ShardMachine, exponential_backoff
from local.sandbox.outcome import Outcome

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import ShardTypeDef
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

#: How long `drained` waits for idle shards to be read once more.
_LOOK_S = 5.0

#: Pause between tries to list a stream's shards.
_LIST_RETRY_S = 1.0


class _Stream(NamedTuple):
    """What a mapping finds when it starts."""

    arn: str
    mapping_id: str  # in the checkpoint table
    origin: MappingOrigin
    is_new: bool  # whether the mapping has just been created
    failures: FailureDestination


class KinesisMapping:
    """What `aws lambda create-event-source-mapping` creates, in threads of this process."""

    def __init__(
        self,
        *,
        settings: KinesisSettings,
        stream: str,
        function: str,
        invoke: Callable[[bytes], Outcome],
        kinesis: "KinesisClient",
        sqs: "SQSClient",
        checkpoints: Checkpoints,
        failure_queue: str | None = None,
        observer: Observer | None = None,
        poll_interval_s: float = POLL_INTERVAL_S,
        backoff: Callable[[int], float] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`failure_queue` is a URL, an ARN or a name; `backoff` the pause in seconds after a batch's n-th
        failure in a row; `poll_interval_s` the time between two reads of an idle shard (1.0 on AWS)."""
        self._settings = settings
        self._stream = stream
        self._function = function
        self._invoke = invoke
        self._kinesis = kinesis
        self._sqs = sqs
        self._checkpoints = checkpoints
        self._failure_queue = failure_queue
        self._observer = observer or Observer()
        self._poll_interval_s = poll_interval_s
        self._backoff = backoff or exponential_backoff()
        self._clock = clock
        self._lock = threading.Lock()
        self._progressed = threading.Condition()
        self._runners: dict[str, ShardRunner] = {}
        self._progress: dict[str, ShardProgress] = {}
        self._is_stopped = False

    def start(self) -> None:
        """Find the shards and begin; LATEST means the moment before this returns.

        Raises ConfigurationError when the stream or the failure queue does not exist, and botocore's errors
        when the endpoint does not answer.
        """
        try:
            answer = self._kinesis.describe_stream_summary(StreamName=self._stream)
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            raise ConfigurationError(
                f"stream {self._stream!r} does not exist; create the stack first (infra/resources.yaml)"
            ) from exc
        summary = answer["StreamDescriptionSummary"]
        created = summary["StreamCreationTimestamp"].timestamp()
        mapping_id = f"{self._function}/{self._stream}/{created:.3f}"
        url = None if self._failure_queue is None else queue_url(self._sqs, self._failure_queue)
        known = self._checkpoints.load(mapping_id)
        self._progress = known.progress
        shards = self._list_shards()
        origin = known.origin or self._create(mapping_id, shards)
        failures = FailureDestination(self._sqs, url, self._clock)
        stream = _Stream(summary["StreamARN"], mapping_id, origin, known.origin is None, failures)
        self._start_ready(stream, shards)

    def _create(self, mapping_id: str, shards: list["ShardTypeDef"]) -> MappingOrigin:
        """Keep that the mapping is created now, with these shards on the stream."""
        origin = MappingOrigin(self._clock(), [shard["ShardId"] for shard in shards])
        if self._settings.starting_position == LATEST:
            for shard in shards:
                if "EndingSequenceNumber" in shard["SequenceNumberRange"]:  # closed: holds nothing newer
                    ended = self._progress[shard["ShardId"]] = ShardProgress(ended=True)
                    self._checkpoints.save(mapping_id, shard["ShardId"], ended)
        self._checkpoints.save_origin(mapping_id, origin)
        return origin

    def stop(self, grace_s: float = 30.0) -> None:
        """Finish the invocations in flight, save the checkpoints, end every thread.

        An invocation that takes longer than `grace_s` is left alone: its records are delivered again.
        """
        with self._lock:
            self._is_stopped = True
            runners = list(self._runners.values())
        for runner in runners:
            runner.stop()
        deadline = time.monotonic() + grace_s
        for runner in runners:
            runner.join(max(0.0, deadline - time.monotonic()))

    def drained(self) -> bool:
        """Whether everything that was on the stream when this was called is done.

        Has idle shards read once more, so a true answer is exact; takes milliseconds.  Raises RuntimeError
        when a shard's thread has failed, because waiting for it would never end.
        """
        asked_at = self._clock()
        with self._lock:
            for runner in self._runners.values():
                runner.poll()
        deadline = time.monotonic() + _LOOK_S
        with self._progressed:
            while (answer := self._is_drained(asked_at)) is None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._progressed.wait(left_s)
        return answer

    def _is_drained(self, since: float) -> bool | None:
        with self._lock:
            runners = list(self._runners.values())
        for runner in runners:
            if runner.error is not None:
                raise RuntimeError(f"the mapping of shard {runner.shard_id} has failed") from runner.error
        answers = {runner.is_drained(since) for runner in runners}
        if False in answers:
            return False
        return None if None in answers else True

    def _list_shards(self) -> list["ShardTypeDef"]:
        # Not botocore's paginator: it repeats StreamName beside NextToken, which Kinesis refuses from the
        # 1,001st shard on (boto/botocore issue 2009).
        answer = self._kinesis.list_shards(StreamName=self._stream)
        shards = answer["Shards"]
        while token := answer.get("NextToken"):
            answer = self._kinesis.list_shards(NextToken=token)
            shards += answer["Shards"]
        return shards

    def _shard_ended(self, stream: _Stream, shard_id: str, stopping: threading.Event) -> None:
        """A shard is done to its end: its children may start.  Runs in that shard's thread."""
        with self._lock:
            self._progress[shard_id] = ShardProgress(ended=True)
        has_warned = False
        while not stopping.is_set():
            try:
                self._start_ready(stream, self._list_shards())
                return
            except (ClientError, BotoCoreError) as exc:
                if not has_warned:
                    logger.warning("shard %s has ended, looking for its children again: %s", shard_id, exc)
                has_warned = True
                stopping.wait(_LIST_RETRY_S)

    def _start_ready(self, stream: _Stream, shards: list["ShardTypeDef"]) -> None:
        """Start every shard that is not running and whose parents are all done or forgotten."""
        listed = {shard["ShardId"] for shard in shards}
        with self._lock:
            for shard in shards:
                shard_id = shard["ShardId"]
                parents = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")} & listed
                if (
                    self._is_stopped
                    or shard_id in self._runners
                    or self._has_ended(shard_id)
                    or not all(self._has_ended(str(parent)) for parent in parents)
                ):
                    continue
                runner = self._runner(stream, shard_id)
                self._runners[shard_id] = runner
                runner.start()

    def _has_ended(self, shard_id: str) -> bool:
        return self._progress.get(shard_id, ShardProgress()).ended

    def _runner(self, stream: _Stream, shard_id: str) -> ShardRunner:
        progress = self._progress.get(shard_id, ShardProgress())
        start = self._start_of(stream, shard_id, progress)
        reader = ShardReader(self._kinesis, self._stream, shard_id, start)
        try:
            reader.open(self._clock())
        except (ShardGoneError, ReadLaterError) as exc:
            logger.warning("shard %s has no iterator yet: %s", shard_id, exc)
        _, _, _, region, account, _ = stream.arn.split(":", 5)
        function_arn = arns.function(self._function, region, account)
        role_arn = arns.role(self._function, account)
        lanes = self._settings.parallelization_factor
        return ShardRunner(
            shard=MappedShard(shard_id, stream.arn, self._function, function_arn),
            reader=reader,
            read_limit=min(10_000, max(1_000, self._settings.batch_size * lanes)),
            encode=lambda_events.kinesis_encoder(stream.arn, shard_id, role_arn),
            machine=ShardMachine(self._settings, now=self._clock(), backoff=self._backoff),
            schedule=ReadSchedule(self._poll_interval_s),
            invoke=self._invoke,
            failures=stream.failures,
            checkpoint=ShardCheckpoint(self._checkpoints, stream.mapping_id, shard_id, progress, self._clock),
            observer=self._observer,
            on_end=partial(self._shard_ended, stream._replace(is_new=False)),
            progressed=self._progressed,
            clock=self._clock,
        )

    def _start_of(self, stream: _Stream, shard_id: str, progress: ShardProgress) -> Start:
        if progress.sequence_number is not None:
            return Start.after(progress.sequence_number)
        if shard_id not in stream.origin.shards:
            return Start.oldest()
        if self._settings.starting_position == AT_TIMESTAMP and self._settings.starting_at is not None:
            return Start.at_time(self._settings.starting_at)
        if self._settings.starting_position == LATEST:
            return Start.newest() if stream.is_new else Start.at_time(stream.origin.at)
        return Start.oldest()
