"""A Kinesis event source mapping on this machine: finds the stream's shards and runs each.

The only place that knows which shards there are, which one may start, and where.  A shard starts when all
its parents are read and done to their end, so that a key's records stay in order across splits and merges.
The starting position holds for shards that were there when the mapping was created; a shard born later is
read from its oldest record.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import ConfigurationError
from local import arns
from local.event_sources import lambda_events
from local.event_sources.batch_item_failures import Outcome
from local.event_sources.checkpoints import Birth, Checkpoints, Position, ShardCheckpoint
from local.event_sources.failure_destination import FailureQueue
from local.event_sources.observer import Observer, Silent
from local.event_sources.settings import AT_TIMESTAMP, LATEST, KinesisSettings
from local.event_sources.shard_reader import ReadLaterError, ShardGoneError, ShardReader, Start
from local.event_sources.shard_runner import ShardRunner, Source
from local.event_sources.shard_state_machine import ShardMachine, exponential_backoff

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import ShardTypeDef
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

#: How long `drained` waits for idle shards to be read once more.
_LOOK_S = 5.0

#: Pause between tries to list a stream's shards.
_LIST_RETRY_S = 1.0


class KinesisMapping:
    """What `aws lambda create-event-source-mapping` makes, in threads of this process."""

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
        poll_interval_s: float = 0.1,
        is_eager: bool = False,
        backoff: Callable[[int], float] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`failure_queue` is a URL, an ARN or a name; `backoff` the pause in seconds after a batch's n-th
        failure in a row; `poll_interval_s` how often an idle shard is read (1.0 on AWS); with `is_eager`
        one that has just brought something is read more often."""
        self._settings = settings
        self._stream = stream
        self._function = function
        self._invoke = invoke
        self._kinesis = kinesis
        self._sqs = sqs
        self._checkpoints = checkpoints
        self._failure_queue_name = failure_queue
        self._observer = observer or Silent()
        self._poll_interval_s = poll_interval_s
        self._is_eager = is_eager
        self._backoff = backoff or exponential_backoff()
        self._clock = clock
        self._lock = threading.Lock()
        self._progressed = threading.Condition()
        self._runners: dict[str, ShardRunner] = {}
        self._positions: dict[str, Position] = {}
        self._is_stopped = False

    def start(self) -> None:
        """Find the shards and begin; LATEST means the moment before this returns.

        Raises ConfigurationError when the stream or the failure queue does not exist, and botocore's errors
        when the endpoint does not answer.
        """
        try:
            summary = self._kinesis.describe_stream_summary(StreamName=self._stream)[
                "StreamDescriptionSummary"
            ]
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            raise ConfigurationError(
                f"stream {self._stream!r} does not exist; create the stack first (infra/resources.yaml)"
            ) from exc
        self._stream_arn = summary["StreamARN"]
        created = summary["StreamCreationTimestamp"].timestamp()
        self._mapping_id = f"{self._function}/{self._stream}/{created:.3f}"
        self._failure_queue = (
            None if self._failure_queue_name is None else FailureQueue(self._sqs, self._failure_queue_name)
        )
        known = self._checkpoints.load(self._mapping_id)
        self._positions = known.positions
        shards = self._list_shards()
        self._is_new = known.birth is None
        if known.birth is None:
            self._birth = Birth(self._clock(), [shard["ShardId"] for shard in shards])
            if self._settings.starting_position == LATEST:
                # Nothing of a closed shard is newer than now.
                closed = [shard["ShardId"] for shard in shards if _is_closed(shard)]
                self._positions.update({shard_id: Position(ended=True) for shard_id in closed})
                for shard_id in closed:
                    self._checkpoints.save(self._mapping_id, shard_id, Position(ended=True))
            self._checkpoints.save_birth(self._mapping_id, self._birth)
        else:
            self._birth = known.birth
        self._start_ready(shards)
        self._is_new = False

    def stop(self, grace_s: float = 30.0) -> None:
        """Finish what is in flight, save the checkpoints, end every thread.

        An invocation that takes longer than `grace_s` is left alone: its records will be delivered again.
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
        shards: list[ShardTypeDef] = []
        request: dict[str, Any] = {"StreamName": self._stream}
        while True:
            answer = self._kinesis.list_shards(**request)
            shards += answer["Shards"]
            if not answer.get("NextToken"):
                return shards
            request = {"NextToken": answer["NextToken"]}

    def _shard_ended(self, shard_id: str, stopping: threading.Event) -> None:
        """A shard is done to its end: its children may start.  Runs in that shard's thread."""
        with self._lock:
            self._positions[shard_id] = Position(ended=True)
        has_warned = False
        while not stopping.is_set():
            try:
                self._start_ready(self._list_shards())
                return
            except (ClientError, BotoCoreError) as exc:
                if not has_warned:
                    logger.warning("shard %s has ended, looking for its children again: %s", shard_id, exc)
                has_warned = True
                stopping.wait(_LIST_RETRY_S)

    def _start_ready(self, shards: list["ShardTypeDef"]) -> None:
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
                runner = self._runner(shard_id)
                self._runners[shard_id] = runner
                runner.start()

    def _has_ended(self, shard_id: str) -> bool:
        return self._positions.get(shard_id, Position()).ended

    def _runner(self, shard_id: str) -> ShardRunner:
        position = self._positions.get(shard_id, Position())
        reader = ShardReader(self._kinesis, self._stream, shard_id, self._start_of(shard_id, position))
        try:
            reader.open(self._clock())
        except (ShardGoneError, ReadLaterError) as exc:
            logger.warning("shard %s has no iterator yet: %s", shard_id, exc)
        _, _, _, region, account, _ = self._stream_arn.split(":", 5)
        lanes = self._settings.parallelization_factor
        return ShardRunner(
            source=Source(
                self._function,
                arns.function(self._function, region, account),
                self._stream_arn,
                shard_id,
            ),
            reader=reader,
            encode=lambda_events.kinesis_encoder(
                self._stream_arn, shard_id, arns.role(self._function, account)
            ),
            machine=ShardMachine(self._settings, now=self._clock(), backoff=self._backoff),
            invoke=self._invoke,
            failure_queue=self._failure_queue,
            checkpoint=ShardCheckpoint(self._checkpoints, self._mapping_id, shard_id, position, self._clock),
            observer=self._observer,
            on_end=self._shard_ended,
            progressed=self._progressed,
            poll_interval_s=self._poll_interval_s,
            is_eager=self._is_eager,
            read_limit=min(10_000, max(1_000, self._settings.batch_size * lanes)),
            clock=self._clock,
        )

    def _start_of(self, shard_id: str, position: Position) -> Start:
        if position.sequence_number is not None:
            return Start.after(position.sequence_number)
        if shard_id not in self._birth.shards:
            return Start.oldest()
        if self._settings.starting_position == AT_TIMESTAMP and self._settings.starting_at is not None:
            return Start.at_time(self._settings.starting_at)
        if self._settings.starting_position == LATEST:
            return Start.newest() if self._is_new else Start.at_time(self._birth.at)
        return Start.oldest()


def _is_closed(shard: "ShardTypeDef") -> bool:
    return "EndingSequenceNumber" in shard["SequenceNumberRange"]
