"""The dead-letter queue and the parking queue, as operators read them.

SQS has no way to look at a message without receiving it, and every receive counts: after `maxReceiveCount` of
them a message of the dead-letter queue is parked.
"""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from chalicelib.errors import RecordError
from chalicelib.triage import invocation_record
from chalicelib.triage.invocation_record import Pointers
from cli.exits import EXIT_UNAVAILABLE
from ops.clients import remedy
from ops.output import CommandError

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

#: For how long received messages are hidden from others: time to read a page and to move it.
HIDDEN_S = 30


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting message; `pointers` is None and `fault` set when it is no invocation record."""

    message_id: str
    receipt: str
    body: str
    sent_at_ms: int
    receives: int
    pointers: Pointers | None
    fault: str

    def age_s(self) -> float:
        """Return how long ago the message was sent."""
        return time.time() - self.sent_at_ms / 1000


class Queue:
    """One of the two queues."""

    def __init__(self, sqs: "SQSClient", name: str) -> None:
        """Raises CommandError when there is no such queue."""
        self._sqs = sqs
        self.name = name
        try:
            self._url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        except ClientError as exc:
            error = exc.response["Error"]
            if "NonExistentQueue" not in error["Code"] + error.get("Message", ""):
                raise
            raise CommandError(f"there is no queue {name}; {remedy()}", EXIT_UNAVAILABLE) from exc
        attributes = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["All"])["Attributes"]
        #: Messages that can be received, and received ones that are hidden; both approximate.
        self.waiting = int(attributes["ApproximateNumberOfMessages"])
        self.in_flight = int(attributes["ApproximateNumberOfMessagesNotVisible"])
        policy = attributes.get("RedrivePolicy")
        self.max_receives = int(json.loads(policy)["maxReceiveCount"]) if policy else None

    def dead_letters(self, limit: int) -> Iterator[DeadLetter]:
        """Receive up to `limit` messages that can be received, each once.

        They stay hidden for HIDDEN_S unless they are deleted or given back.
        """
        seen: set[str] = set()
        while len(seen) < limit:
            # Long polling asks all of SQS's servers; a short poll may find nothing where there is something.
            # It waits when there is nothing, so only as long as the queue says there is.
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(10, limit - len(seen)),
                VisibilityTimeout=HIDDEN_S,
                WaitTimeSeconds=1 if len(seen) < self.waiting else 0,
                AttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
            received = answer.get("Messages", [])
            new = [message for message in received if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen.add(message["MessageId"])
                yield _dead_letter(message)

    def give_back(self, letter: DeadLetter) -> None:
        """Make the message visible to others at once."""
        self._sqs.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
        )

    def move(self, letter: DeadLetter, to: "Queue") -> None:
        """Send the message's body to another queue, then delete it here: a crash in between leaves both."""
        self._sqs.send_message(QueueUrl=to._url, MessageBody=letter.body)
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)


def _dead_letter(message: "MessageTypeDef") -> DeadLetter:
    pointers, fault = None, ""
    try:
        pointers = invocation_record.parse(message["Body"])
    except RecordError as exc:
        fault = str(exc)
    return DeadLetter(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent_at_ms=int(message["Attributes"]["SentTimestamp"]),
        receives=int(message["Attributes"]["ApproximateReceiveCount"]),
        pointers=pointers,
        fault=fault,
    )
