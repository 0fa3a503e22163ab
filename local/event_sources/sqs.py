"""An SQS event source mapping on this machine: receives, invokes, deletes what is done.

What fails stays on the queue: it is received again when its visibility timeout is over, counted by SQS, and
moved to the queue's own dead-letter queue by SQS.
(Lambda developer guide, "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source".)
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import ConfigurationError
from local.event_sources import lambda_events
from local.event_sources.batch_item_failures import succeeded_messages
from local.event_sources.batching import ENVELOPE_BYTES, MAX_EVENT_BYTES
from local.event_sources.observer import Invocation, Observer
from local.event_sources.queues import messages_waiting, queue_url
from local.event_sources.settings import SqsSettings
from local.event_sources.shard_state_machine import exponential_backoff
from local.sandbox.outcome import Ending, Outcome

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

#: What one ReceiveMessage and one DeleteMessageBatch carry at most.
SQS_BATCH = 10

#: How long a receive waits for a message.  AWS waits up to 20 s; short, so that stopping is quick.
RECEIVE_WAIT_S = 1


class _Received(NamedTuple):
    message: "MessageTypeDef"
    entry: bytes
    at: float  # when it was received


class SqsMapping:
    """What `aws lambda create-event-source-mapping` creates for a queue, in threads of this process."""

    def __init__(
        self,
        *,
        settings: SqsSettings,
        queue: str,
        function: str,
        invoke: Callable[[bytes], Outcome],
        sqs: "SQSClient",
        observer: Observer | None = None,
        backoff: Callable[[int], float] = exponential_backoff,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`queue` is a URL, an ARN or a name; `backoff` the pause in seconds after an n-th failed receive,
        or an n-th invocation that did not reach the function.

        Raises ConfigurationError for a queue that does not exist, is FIFO, or hides a message for less time
        than the function may take.
        """
        self._settings = settings
        self._function = function
        self._invoke = invoke
        self._sqs = sqs
        self._observer = observer or Observer()
        self._backoff = backoff
        self._clock = clock
        self._url = queue_url(sqs, queue)
        self._name = name = self._url.rpartition("/")[2]
        if name.endswith(".fifo"):
            raise ConfigurationError(f"queue {name!r}: the local mapping does not honour FIFO queues")
        names: list[Any] = ["QueueArn", "VisibilityTimeout"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        self._visibility_s = int(attributes["VisibilityTimeout"])
        if self._visibility_s < settings.timeout_s:
            raise ConfigurationError(
                f"queue {name!r}: Queue visibility timeout: {self._visibility_s} seconds is less than "
                f"Function timeout: {settings.timeout_s} seconds"
            )
        self._encode = lambda_events.sqs_encoder(attributes["QueueArn"], window=settings.window_s > 0)
        self._stopping = threading.Event()
        self._slots = threading.Semaphore(settings.concurrency)
        self._in_flight: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._left_over: list[_Received] = []  # received, and too large for the batch before
        self._poller = threading.Thread(target=self._poll, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._poller.start()

    def stop(self, grace_s: float = 30.0) -> None:
        """Receive no more and finish the batches in flight, for at most `grace_s`.

        The messages of what is not finished by then become visible again.
        """
        self._stopping.set()
        deadline = time.monotonic() + grace_s
        if self._poller.is_alive():
            self._poller.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            in_flight = list(self._in_flight)
        for thread in in_flight:
            thread.join(max(0.0, deadline - time.monotonic()))

    def drained(self) -> bool:
        """Whether the queue holds nothing, visible or not, and no invocation is in flight."""
        waiting = messages_waiting(self._sqs, self._url)
        with self._lock:
            return not self._in_flight and not waiting

    def _poll(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            # Receive only what can be invoked at once: a message's visibility timeout is running.
            if not self._slots.acquire(timeout=RECEIVE_WAIT_S):
                continue
            batch: list[_Received] = []
            try:
                batch = self._gather()
                failures = 0
            except (ClientError, BotoCoreError) as exc:
                failures += 1
                if failures == 1:
                    logger.warning("queue %s: receiving again after: %s", self._name, exc)
                self._stopping.wait(self._backoff(failures))
            if batch:  # when stopping too: left alone, it would be invisible for a whole timeout
                thread = threading.Thread(target=self._process, args=(batch,), daemon=True)
                with self._lock:
                    self._in_flight.add(thread)
                thread.start()
            else:
                self._slots.release()

    def _gather(self) -> list[_Received]:
        """Receive a batch: with one call or, if the mapping has a window, several."""
        batch, self._left_over = self._left_over, []
        size = ENVELOPE_BYTES + sum(len(each.entry) + 1 for each in batch)
        window_ends = self._clock() + self._settings.window_s
        while len(batch) < self._settings.batch_size and not self._stopping.is_set():
            if batch and self._clock() >= window_ends:
                break
            wanted = min(SQS_BATCH, self._settings.batch_size - len(batch))
            try:
                received = self._receive(wanted)
            except (ClientError, BotoCoreError):
                if not batch:
                    raise
                break  # what was received before must not wait for the queue to answer again
            for each in received:
                if batch and size + len(each.entry) > MAX_EVENT_BYTES:
                    self._left_over.append(each)
                else:
                    batch.append(each)
                    size += len(each.entry) + 1
            if self._left_over or self._clock() >= window_ends:
                break
        return batch

    def _receive(self, wanted: int) -> list[_Received]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=wanted,
            WaitTimeSeconds=RECEIVE_WAIT_S,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        now = self._clock()
        return [_Received(each, self._encode(each), now) for each in answer.get("Messages", [])]

    def _process(self, batch: list[_Received]) -> None:
        try:
            started_at, outcome = self._deliver(batch)
            ended_at = self._clock()
            identifiers = [each.message["MessageId"] for each in batch]
            done = succeeded_messages(outcome, identifiers, reported=self._settings.partial_responses)
            self._delete([each.message for each in batch if each.message["MessageId"] in done])
            self._report(batch, outcome, len(done), started_at, ended_at)
            if done:
                self._observer.processed(self._name, done, ended_at)
        except Exception:  # a bug of ours: the messages come back by themselves, and the slot must too
            logger.exception("queue %s: a batch was not finished and will be received again", self._name)
        finally:
            with self._lock:
                self._in_flight.discard(threading.current_thread())
            self._slots.release()

    def _deliver(self, batch: list[_Received]) -> tuple[float, Outcome]:
        """Invoke, repeatedly while the function is not reached and the messages stay invisible to others."""
        event = lambda_events.of_entries([each.entry for each in batch])
        ours_until = min(each.at for each in batch) + self._visibility_s - self._settings.timeout_s
        failures = 0
        while True:
            started_at = self._clock()
            outcome = self._invoke(event)
            failures += 1
            pause_s = self._backoff(failures)
            if outcome.ending is not Ending.UNDELIVERED or self._clock() + pause_s > ours_until:
                return started_at, outcome
            if self._stopping.wait(pause_s):
                return started_at, outcome

    def _delete(self, messages: list["MessageTypeDef"]) -> None:
        for start in range(0, len(messages), SQS_BATCH):
            some = messages[start : start + SQS_BATCH]
            try:
                failed = self._sqs.delete_message_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                        for number, message in enumerate(some)
                    ],
                ).get("Failed", [])
            except (ClientError, BotoCoreError) as exc:
                logger.warning("queue %s: %d messages will be received again: %s", self._name, len(some), exc)
                continue
            for entry in failed:
                logger.warning(
                    "queue %s: message %s will be received again: %s",
                    self._name,
                    some[int(entry["Id"])]["MessageId"],
                    entry.get("Message", entry["Code"]),
                )

    def _report(
        self,
        batch: list[_Received],
        outcome: Outcome,
        done: int,
        started_at: float,
        ended_at: float,
    ) -> None:
        ending = outcome.ending.value
        if outcome.ending is Ending.OK and done < len(batch):
            ending = "partial"
        attributes = [each.message.get("Attributes", {}) for each in batch]
        sent_at = int(attributes[-1].get("SentTimestamp", started_at * 1000)) / 1000
        self._observer.invoked(
            Invocation(
                function=self._function,
                source=self._name,
                batch_size=len(batch),
                outcome=ending,
                attempt=max(int(each.get("ApproximateReceiveCount", "1")) for each in attributes),
                iterator_age_ms=max(0.0, (started_at - sent_at) * 1000),
                started_at=started_at,
                seconds=ended_at - started_at,
            )
        )
