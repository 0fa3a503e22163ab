"""The queue that a mapping sends pointers to when it gives a batch up.

The only place that sends invocation records.  A queue that does not answer is waited for, because the
batch's records are not checkpointed before its message is accepted; a queue that refuses is reported and
the mapping goes on, as AWS does (metric DestinationDeliveryFailures).
"""

import logging
import threading
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

#: Pause between tries while the queue does not answer.
RETRY_S = 0.5


def queue_url(sqs: "SQSClient", queue: str) -> str:
    """The URL of a queue given as URL, ARN or name.  Raises ConfigurationError when there is none."""
    if queue.startswith(("http://", "https://")):
        return queue
    name = queue.rpartition(":")[2]
    try:
        return sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist as exc:
        raise ConfigurationError(
            f"queue {name!r} does not exist; create the stack first (infra/resources.yaml)"
        ) from exc


class FailureQueue:
    """An SQS queue as on-failure destination."""

    def __init__(self, sqs: "SQSClient", queue: str) -> None:
        """Raises ConfigurationError when the queue does not exist."""
        self._sqs = sqs
        self._url = queue_url(sqs, queue)

    def send(self, body: str, stopping: threading.Event) -> bool:
        """Send one message; False when told to stop before the queue answered, and nothing was sent."""
        while True:
            try:
                self._sqs.send_message(QueueUrl=self._url, MessageBody=body)
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
