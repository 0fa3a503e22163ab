"""SQS queues as the laptop's parts look at them: by URL, ARN or name, and how many messages they hold."""

from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def queue_url(sqs: "SQSClient", queue: str) -> str:
    """Return the URL of a queue given as URL, ARN or name.

    Raises ConfigurationError if it does not exist.
    """
    if queue.startswith(("http://", "https://")):
        return queue
    name = queue.rpartition(":")[2]
    try:
        return sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist as exc:
        raise ConfigurationError(
            f"queue {name!r} does not exist; create the stack first (infra/resources.yaml)"
        ) from exc


def messages_waiting(sqs: "SQSClient", url: str) -> int:
    """Return how many messages the queue holds: visible, delayed, or received and not deleted yet."""
    found = sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )
    return sum(map(int, found["Attributes"].values()))
