"""A real queue, a real mapping, a real function: what is invoked, deleted, and comes again."""

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.errors import ConfigurationError
from local.aws import client
from local.event_sources.settings import SqsSettings
from local.event_sources.sqs import SqsMapping
from local.sandbox.outcome import Ending, Outcome
from local.sandbox.pool import SandboxPool
from tests.support.mappings import Watcher
from tests.support.shard_machines import no_backoff
from tests.support.waiting import eventually, pass_time, whole_lines

#: A queue's visibility timeout here: what fails comes again after this many seconds.  A busy machine needs
#: less for an invocation.
VISIBILITY_S = 4


class Post:
    """A queue with a parking queue behind it, and a function that notes what it is given."""

    def __init__(self, directory: Path) -> None:
        name = uuid.uuid4().hex[:8]
        self.sqs = client("sqs")
        self.notes_path = directory / "notes"
        self.notes_path.touch()
        self.watcher = Watcher()
        self.parking = self.queue(f"parking-{name}")
        parking_arn = self.attributes(self.parking, "QueueArn")["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": parking_arn, "maxReceiveCount": 2})
        self.name = f"queue-{name}"
        self.url = self.queue(self.name, VisibilityTimeout=str(VISIBILITY_S), RedrivePolicy=redrive)
        self.pool = SandboxPool(
            handler="tests.support.handlers.note_messages",
            environment={"NOTES": str(self.notes_path)},
            timeout_s=VISIBILITY_S,
            log_path=directory / "log",
        )
        self.pool.invoke(
            b'{"Records": []}'
        )  # starts a sandbox, which may take longer than a message is hidden
        self.notes_path.write_text("")
        self.started: list[SqsMapping] = []

    def queue(self, name: str, **attributes: str) -> str:
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def attributes(self, url: str, *names: Any) -> dict[Any, str]:
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]

    def send(self, *bodies: Any) -> list[str]:
        """Send messages and return their ids."""
        return [
            self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(body))["MessageId"]
            for body in bodies
        ]

    def start(self, *, invoke: Callable[[bytes], Outcome] | None = None, **settings: Any) -> SqsMapping:
        settings = {"timeout_s": VISIBILITY_S, "partial_responses": True, **settings}
        mapping = SqsMapping(
            settings=SqsSettings(**settings),
            queue=self.name,
            function="note_messages",
            invoke=invoke or self.pool.invoke,
            sqs=self.sqs,
            observer=self.watcher,
            backoff=no_backoff,
        )
        self.started.append(mapping)
        mapping.start()
        return mapping

    def notes(self) -> list[dict[str, Any]]:
        """Each invocation: when it was, and its records."""
        return [json.loads(line) for line in whole_lines(self.notes_path)]

    def delivered(self) -> list[list[str]]:
        return [[record["messageId"] for record in note["records"]] for note in self.notes()]

    def parked(self) -> list[Any]:
        return self.sqs.receive_message(
            QueueUrl=self.parking, MaxNumberOfMessages=10, VisibilityTimeout=0
        ).get("Messages", [])

    def close(self) -> None:
        for mapping in self.started:
            mapping.stop()
        self.pool.close()
        for url in (self.url, self.parking):
            self.sqs.delete_queue(QueueUrl=url)
        self.sqs.close()


@pytest.fixture
def post(aws: str, tmp_path: Path) -> Iterator[Post]:
    post = Post(tmp_path)
    yield post
    post.close()


def flat(lists: list[list[str]]) -> list[str]:
    return [each for some in lists for each in some]


def test_messages_are_delivered_in_batches_and_deleted(post: Post) -> None:
    sent = post.send(*({"n": n} for n in range(25)))

    mapping = post.start(batch_size=10)
    assert eventually(mapping.drained)

    assert Counter(flat(post.delivered())) == Counter(sent)
    assert max(map(len, post.delivered())) <= 10
    assert Counter(post.watcher.done) == Counter(sent)
    assert {each.outcome for each in post.watcher.invocations} == {"ok"}
    assert {each.source for each in post.watcher.invocations} == {post.name}


def test_a_message_arrives_as_lambda_sends_it(post: Post) -> None:
    """The hash is one recorded from AWS (test_message_body_and_attributes_passed_correctly)."""
    post.sqs.send_message(
        QueueUrl=post.url,
        MessageBody="{}",
        MessageAttributes={
            "Title": {"DataType": "String", "StringValue": "The Whistler"},
            "Author": {"DataType": "String", "StringValue": "John Grisham"},
            "WeeksOn": {"DataType": "Number", "StringValue": "6"},
        },
    )

    mapping = post.start()
    assert eventually(mapping.drained)

    ((record,),) = (note["records"] for note in post.notes())
    assert record["body"] == "{}"
    assert record["md5OfMessageAttributes"] == "d25a6aea97eb8f585bfa92d314504a92"
    assert record["messageAttributes"]["WeeksOn"] == {
        "stringValue": "6",
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": "Number",
    }
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert all(isinstance(value, str) for value in record["attributes"].values())
    assert {"SentTimestamp", "ApproximateFirstReceiveTimestamp"} <= record["attributes"].keys()
    assert record["eventSourceARN"].endswith(post.name)


def test_a_failed_batch_comes_again_when_its_visibility_timeout_is_over(post: Post) -> None:
    """Recorded from AWS (test_failing_lambda_retries_after_visibility_timeout): the second receive is not
    earlier, and counts as the second."""
    (message,) = post.send({"report": 1})

    mapping = post.start()
    assert eventually(mapping.drained)

    first, second = post.notes()
    assert post.delivered() == [[message], [message]]
    assert second["at"] - first["at"] >= VISIBILITY_S - 0.5  # it counts from the receive, before the note
    assert second["records"][0]["attributes"]["ApproximateReceiveCount"] == "2"
    assert second["records"][0]["receiptHandle"] != first["records"][0]["receiptHandle"]
    assert [each.attempt for each in post.watcher.invocations] == [1, 2]
    assert post.parked() == []


def test_a_message_that_always_fails_is_moved_to_the_parking_queue_by_sqs(post: Post) -> None:
    """Recorded from AWS (test_redrive_policy_with_failing_lambda): maxReceiveCount 2, two invocations."""
    (message,) = post.send({"raise": True})

    mapping = post.start(batch_size=1)
    assert eventually(mapping.drained)

    assert post.delivered() == [[message], [message]]
    (parked,) = post.parked()
    assert (parked["MessageId"], json.loads(parked["Body"])) == (message, {"raise": True})
    assert post.watcher.done == []


def test_only_reported_messages_come_again(post: Post) -> None:
    good, bad, also_good = post.send({"n": 0}, {"report": 1}, {"n": 2})

    mapping = post.start()
    assert eventually(mapping.drained)

    counts = Counter(flat(post.delivered()))
    assert counts == {good: 1, bad: 2, also_good: 1}
    assert "partial" in {each.outcome for each in post.watcher.invocations}


def test_without_the_setting_a_report_is_success(post: Post) -> None:
    (message,) = post.send({"report": 9})

    mapping = post.start(partial_responses=False)
    assert eventually(mapping.drained)

    assert post.delivered() == [[message]]
    assert post.parked() == []


def test_a_window_gathers_more_than_one_receive(post: Post) -> None:
    sent = post.send(*({"n": n} for n in range(25)))

    mapping = post.start(batch_size=25, window_s=300)
    assert eventually(mapping.drained)

    assert [sorted(batch) for batch in post.delivered()] == [sorted(sent)]


def test_no_more_run_at_once_than_the_concurrency_allows(post: Post) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def invoke(event: bytes) -> Outcome:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        outcome = post.pool.invoke(event)
        with lock:
            running -= 1
        return outcome

    post.send(*({"seconds": 0.2} for _ in range(12)))
    mapping = post.start(batch_size=1, concurrency=3, invoke=invoke)
    assert eventually(mapping.drained)

    assert 2 <= most <= 3


def test_a_batch_that_did_not_reach_the_function_is_tried_again_while_it_is_ours(post: Post) -> None:
    refusals = iter(range(3))

    def invoke(event: bytes) -> Outcome:
        if next(refusals, None) is not None:
            return Outcome(Ending.UNDELIVERED, b"", "")
        return post.pool.invoke(event)

    (message,) = post.send({"n": 0})
    mapping = post.start(invoke=invoke, timeout_s=1)
    assert eventually(mapping.drained)

    assert post.delivered() == [[message]]
    assert post.notes()[0]["records"][0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_stopping_finishes_what_was_received(post: Post) -> None:
    (message,) = post.send({"seconds": 1})
    mapping = post.start()
    assert eventually(lambda: len(post.notes()) == 1)

    mapping.stop()

    assert post.watcher.done == [message]
    assert mapping.drained()


def test_a_stopped_mapping_receives_no_more(post: Post) -> None:
    mapping = post.start()
    mapping.stop()
    post.send({"n": 0})

    pass_time(1.5)

    assert post.delivered() == []


def test_a_queue_that_hides_messages_for_less_than_the_function_may_take_is_refused(post: Post) -> None:
    with pytest.raises(
        ConfigurationError,
        match="Queue visibility timeout: 4 seconds is less than Function timeout: 5 seconds",
    ):
        post.start(timeout_s=5)


def test_a_queue_that_does_not_exist_is_a_sentence(post: Post) -> None:
    with pytest.raises(ConfigurationError, match="queue 'no-such-queue' does not exist"):
        SqsMapping(
            settings=SqsSettings(), queue="no-such-queue", function="f", invoke=post.pool.invoke, sqs=post.sqs
        )
