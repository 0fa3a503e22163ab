"""A Kinesis event source mapping on this machine: finds the stream's shards and runs each.

A shard starts when all its parents are read and done to their end, so that a key's records stay in order
across splits and merges.  The starting position holds for shards that existed when the mapping was created; a
shard created later is read from its oldest record.
"""

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import ConfigurationError
from local import arns
from local.event_sources.checkpoints import MappingOrigin, ShardCheckpoint, ShardProgress
from local.event_sources.invocation_record import MappedShard
from local.event_sources.shard_reader import NEWEST, OLDEST, Start, after, at_time
from local.event_sources.shard_runner import MappingParts, ShardRunner

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import ShardTypeDef

logger = logging.getLogger(__name__)

#: How long `drained` waits for idle shards to be read once more.
_LOOK_S = 5.0

#: Pause between tries to list a stream's shards.
_LIST_RETRY_S = 1.0


class _Opened(NamedTuple):
    """What a mapping finds when it starts."""

    stream_arn: str
    mapping_id: str  # in the checkpoint table
    origin: MappingOrigin
    is_new: bool  # whether the mapping has just been created


class KinesisMapping:
    """What `aws lambda create-event-source-mapping` creates, in threads of this process."""

    def __init__(self, parts: MappingParts) -> None:
        self._parts = parts
        self._kinesis = parts.kinesis
        self._lock = threading.Lock()
        self._progressed = threading.Condition()
        self._runners: dict[str, ShardRunner] = {}
        self._progress: dict[str, ShardProgress] = {}
        self._is_stopped = False

    def start(self) -> None:
        """Find the shards and begin; LATEST means the moment before this returns.

        Raises ConfigurationError when the stream does not exist, and botocore's errors when the endpoint
        does not answer.
        """
        name = self._parts.stream
        try:
            answer = self._kinesis.describe_stream_summary(StreamName=name)
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            raise ConfigurationError(
                f"stream {name!r} does not exist; create the stack first (infra/resources.yaml)"
            ) from exc
        summary = answer["StreamDescriptionSummary"]
        created = summary["StreamCreationTimestamp"].timestamp()
        mapping_id = f"{self._parts.function}/{name}/{created:.3f}"
        known = self._parts.checkpoints.load(mapping_id)
        self._progress = known.progress
        shards = self._list_shards()
        origin = known.origin or self._create(mapping_id, shards)
        self._start_ready(_Opened(summary["StreamARN"], mapping_id, origin, known.origin is None), shards)

    def _create(self, mapping_id: str, shards: list["ShardTypeDef"]) -> MappingOrigin:
        """Keep that the mapping is created now, with these shards on the stream."""
        origin = MappingOrigin(self._parts.clock(), [shard["ShardId"] for shard in shards])
        if self._parts.settings.starting_position == "LATEST":
            for shard in shards:
                if "EndingSequenceNumber" in shard["SequenceNumberRange"]:  # closed: holds nothing newer
                    ended = self._progress[shard["ShardId"]] = ShardProgress(ended=True)
                    self._parts.checkpoints.save(mapping_id, shard["ShardId"], ended)
        self._parts.checkpoints.save_origin(mapping_id, origin)
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
        asked_at = self._parts.clock()
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
        answer = self._kinesis.list_shards(StreamName=self._parts.stream)
        shards = answer["Shards"]
        while token := answer.get("NextToken"):
            answer = self._kinesis.list_shards(NextToken=token)
            shards += answer["Shards"]
        return shards

    def _shard_ended(self, opened: _Opened, shard_id: str, stopping: threading.Event) -> None:
        """A shard is done to its end: its children may start.  Runs in that shard's thread."""
        with self._lock:
            self._progress[shard_id] = ShardProgress(ended=True)
        has_warned = False
        while not stopping.is_set():
            try:
                self._start_ready(opened, self._list_shards())
                return
            except (ClientError, BotoCoreError) as exc:
                if not has_warned:
                    logger.warning("shard %s has ended, looking for its children again: %s", shard_id, exc)
                has_warned = True
                stopping.wait(_LIST_RETRY_S)

    def _start_ready(self, opened: _Opened, shards: list["ShardTypeDef"]) -> None:
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
                runner = self._runner(opened, shard_id)
                self._runners[shard_id] = runner
                runner.start()

    def _has_ended(self, shard_id: str) -> bool:
        return self._progress.get(shard_id, ShardProgress()).ended

    def _runner(self, opened: _Opened, shard_id: str) -> ShardRunner:
        parts = self._parts
        progress = self._progress.get(shard_id, ShardProgress())
        _, _, _, region, account, _ = opened.stream_arn.split(":", 5)
        function_arn = arns.function(parts.function, region, account)
        return ShardRunner(
            parts,
            MappedShard(shard_id, opened.stream_arn, parts.function, function_arn),
            self._start_of(opened, shard_id, progress),
            ShardCheckpoint(parts.checkpoints, opened.mapping_id, shard_id, progress, parts.clock),
            on_end=partial(self._shard_ended, opened._replace(is_new=False)),
            progressed=self._progressed,
        )

    def _start_of(self, opened: _Opened, shard_id: str, progress: ShardProgress) -> Start:
        settings = self._parts.settings
        if progress.sequence_number is not None:
            return after(progress.sequence_number)
        if shard_id not in opened.origin.shards:
            return OLDEST
        if settings.starting_at is not None:
            return at_time(settings.starting_at)
        if settings.starting_position == "LATEST":
            return NEWEST if opened.is_new else at_time(opened.origin.at)
        return OLDEST
