"""The on-failure destination of a Kinesis mapping: pointers to a discarded batch are sent to an SQS queue.

A queue that does not answer is waited for, because the batch's records are not checkpointed before the
message is accepted.  A queue that refuses the message is reported and the mapping goes on, as on AWS (metric
DestinationDeliveryFailures).
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local.event_sources import invocation_record
from local.event_sources.invocation_record import MappedShard
from local.event_sources.queues import queue_url
from local.event_sources.shard_state_machine import Discard

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

#: Pause between tries while the queue does not answer.
RETRY_S = 0.5


class FailureDestination:
    """Takes the discarded batches of one mapping; without a queue they are lost, as on AWS."""

    def __init__(self, sqs: "SQSClient", queue: str | None, clock: Callable[[], float] = time.time) -> None:
        """`queue` is a URL, an ARN or a name.  Raises ConfigurationError when it does not exist."""
        self._sqs = sqs
        self._queue_url = None if queue is None else queue_url(sqs, queue)
        self._clock = clock

    def take(self, discard: Discard, shard: MappedShard, stopping: threading.Event) -> bool:
        """Send one message about a batch; False if `stopping` was set before the queue answered."""
        logger.warning(
            "shard %s: discarded %d records, %s to %s: %s after %d invocations; %s",
            shard.shard_id,
            len(discard.records),
            discard.records[0].sequence_number,
            discard.records[-1].sequence_number,
            discard.condition,
            discard.invoke_count,
            "their pointers go to the failure destination" if self._queue_url else "they are lost",
        )
        if self._queue_url is None:
            return True
        body = invocation_record.body(discard, shard, self._clock())
        while True:
            try:
                self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)
                return True
            except ClientError as exc:
                if exc.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    logger.error("the failure destination refused a message, its pointers are lost: %s", exc)
                    return True
                logger.warning("the failure destination does not work, trying again: %s", exc)
            except BotoCoreError as exc:
                logger.warning("the failure destination does not answer, trying again: %s", exc)
            if stopping.wait(RETRY_S):
                return False
