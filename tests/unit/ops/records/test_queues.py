"""Receiving by hand from a queue that delivers at least once."""

from typing import Any

from ops.records.queues import Queue


class TwiceDelivering:
    """SQS may hand out a message again before its visibility timeout is over; the embedded one never does."""

    def __init__(self, messages: int) -> None:
        self.handed_out = 0
        self._messages = [
            {
                "MessageId": str(n),
                "ReceiptHandle": f"r{n}",
                "Body": "{}",
                "Attributes": {"SentTimestamp": "1790000000123", "ApproximateReceiveCount": "1"},
            }
            for n in range(messages)
        ]

    def get_queue_url(self, **_: Any) -> Any:
        return {"QueueUrl": "http://q"}

    def get_queue_attributes(self, **_: Any) -> Any:
        counts = str(len(self._messages))
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": counts,
                "ApproximateNumberOfMessagesNotVisible": "0",
            }
        }

    def receive_message(self, MaxNumberOfMessages: int, **_: Any) -> Any:
        start = max(0, self.handed_out - 1)  # the last one once more
        answer = self._messages[start : start + MaxNumberOfMessages]
        self.handed_out = min(start + MaxNumberOfMessages, len(self._messages))
        return {"Messages": answer}


def test_a_message_that_is_delivered_twice_is_given_once() -> None:
    queue = Queue(TwiceDelivering(25), "q")  # type: ignore[arg-type]

    ids = [letter.message_id for letter in queue.dead_letters(100)]

    assert sorted(ids, key=int) == [str(n) for n in range(25)]
