"""`ops dead-letters` on real queues: what waits, how long its records last, and back to triage."""

import json
import shlex
import time
from typing import Any

import boto3
import pytest

from chalicelib import settings
from ops.records import dead_letters
from tests.support.dead_letters import Stream, text
from tests.support.headings import says
from tests.support.lambda_events import wire
from tests.support.operators import Operator


class Queues:
    """This test's two queues."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs")
        self.dead_letters = self.sqs.get_queue_url(QueueName=settings.dead_letter_queue())["QueueUrl"]
        self.parking = self.sqs.get_queue_url(QueueName=settings.parking_queue())["QueueUrl"]

    def send(self, url: str, body: object) -> str:
        body = body if isinstance(body, str) else json.dumps(body)
        return self.sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"]

    def bodies(self, url: str) -> list[str]:
        """What a consumer would receive now."""
        found: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in messages]
        return found


@pytest.fixture
def queues(stage: str) -> Queues:
    return Queues()


def dead_letter(stream: Stream, hours_ago: float = 1, **batch: Any) -> dict[str, Any]:
    numbers = stream.put([wire()] * 3)
    arrived = text(time.time() - hours_ago * 3600)
    return stream.dead_letter(numbers, approximateArrivalOfFirstRecord=arrived, **batch)


def test_both_queues_are_listed_with_the_place_and_the_clock(
    ops: Operator, queues: Queues, stream: Stream
) -> None:
    waiting, parked = dead_letter(stream, hours_ago=1), dead_letter(stream, hours_ago=200)
    first = queues.send(queues.dead_letters, waiting)
    second = queues.send(queues.parking, parked)

    ran = ops("dead-letters", "list", "--json")

    assert ran.code == 0
    assert [(each["queue"], each["message_id"]) for each in ran.json] == [
        (settings.dead_letter_queue(), first),
        (settings.parking_queue(), second),
    ]
    batch = waiting["KinesisBatchInfo"]
    listed = ran.json[0]
    assert (listed["shard_id"], listed["first"], listed["last"], listed["batch_size"]) == (
        stream.shard_id,
        batch["startSequenceNumber"],
        batch["endSequenceNumber"],
        3,
    )
    assert (listed["condition"], listed["stream"]) == ("RetryAttemptsExhausted", stream.name)
    assert 0 <= listed["age_s"] < 60
    assert listed["hours_left"] == pytest.approx(167, abs=0.1)  # the stream keeps 168
    assert ran.json[1]["hours_left"] == pytest.approx(-32, abs=0.1)


def test_people_get_a_table_and_are_told_what_looking_costs(
    ops: Operator, queues: Queues, stream: Stream
) -> None:
    queues.send(queues.dead_letters, dead_letter(stream, hours_ago=1))
    queues.send(queues.parking, dead_letter(stream, hours_ago=200))
    queues.send(queues.parking, "no invocation \u202erecord")

    ran = ops("dead-letters", "list")

    heading, waiting, expired, foreign = ran.out.splitlines()
    assert heading.split()[:4] == ["queue", "sent", "age", "shard"]
    assert waiting.split()[-3:] == ["7.0", "d", "1/10"]
    assert expired.split()[-2:] == ["gone", "1"]
    assert "not JSON" in foreign
    assert "\u202e" not in ran.out
    assert "looking counted as one of the 10 receives after which a message is parked" in ran.err


def test_looking_consumes_nothing_and_others_see_the_messages_at_once(
    ops: Operator, queues: Queues, stream: Stream
) -> None:
    bodies = [json.dumps(dead_letter(stream)) for _ in range(25)]
    for body in bodies:
        queues.send(queues.parking, body)

    ran = ops("dead-letters", "list", "--json")

    assert len(ran.json) == len({each["message_id"] for each in ran.json}) == 25
    assert sorted(queues.bodies(queues.parking)) == sorted(bodies)


def test_a_message_that_looking_has_brought_to_its_last_receive_is_told(
    ops: Operator, queues: Queues, stream: Stream
) -> None:
    queues.send(queues.dead_letters, dead_letter(stream))
    for _ in range(9):
        ops("dead-letters", "list")

    ran = ops("dead-letters", "list")

    assert ran.out.splitlines()[1].endswith("10/10")
    assert "1 of them will be parked at the next receive; `dead-letters redrive` brings them back" in ran.err
    assert says("… of them will be parked", ran.err)


def test_counting_receives_nothing(ops: Operator, queues: Queues, stream: Stream) -> None:
    queues.send(queues.dead_letters, dead_letter(stream))
    for _ in range(10):
        ran = ops("dead-letters", "list", "--counts", "--json")

    assert ran.json == [
        {"queue": settings.dead_letter_queue(), "waiting": 1, "in_flight": 0},
        {"queue": settings.parking_queue(), "waiting": 0, "in_flight": 0},
    ]
    (message,) = queues.sqs.receive_message(
        QueueUrl=queues.dead_letters, AttributeNames=["ApproximateReceiveCount"]
    )["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert ops("dead-letters", "list", "--counts").out.startswith(
        f"{settings.dead_letter_queue()}: 0 waiting, 1"
    )


def test_a_list_stops_at_its_limit_and_says_how_many_more_wait(
    ops: Operator, queues: Queues, stream: Stream
) -> None:
    for _ in range(3):
        queues.send(queues.parking, dead_letter(stream))

    ran = ops("dead-letters", "list", "--limit", "2", "--json")

    assert len(ran.json) == 2
    assert f"{settings.parking_queue()}: 2 shown, 1 more waiting" in ran.err


def test_parked_messages_go_back_to_triage(ops: Operator, queues: Queues, stream: Stream) -> None:
    bodies = [json.dumps(dead_letter(stream)) for _ in range(12)]
    for body in bodies:
        queues.send(queues.parking, body)

    ran = ops("dead-letters", "redrive")

    assert ran.code == 0
    assert f"12 moved from {settings.parking_queue()} to {settings.dead_letter_queue()}" in ran.err
    counts = {each["queue"]: each for each in ops("dead-letters", "list", "--counts", "--json").json}
    # Nothing in flight either: what was only hidden would come back.
    assert counts[settings.parking_queue()] == {
        "queue": settings.parking_queue(),
        "waiting": 0,
        "in_flight": 0,
    }
    assert sorted(queues.bodies(queues.dead_letters)) == sorted(bodies)


def test_a_dry_run_shows_all_of_them_and_moves_nothing(ops: Operator, queues: Queues, stream: Stream) -> None:
    bodies = [json.dumps(dead_letter(stream)) for _ in range(12)]
    for body in bodies:
        queues.send(queues.parking, body)

    ran = ops("dead-letters", "redrive", "--dry-run")

    assert len(ran.out.splitlines()) == 12
    assert "12 would go back" in ran.err
    assert queues.bodies(queues.dead_letters) == []
    assert sorted(queues.bodies(queues.parking)) == sorted(bodies)


def test_a_few_can_be_tried_first(ops: Operator, queues: Queues, stream: Stream) -> None:
    for _ in range(5):
        queues.send(queues.parking, dead_letter(stream))

    ran = ops("dead-letters", "redrive", "--limit", "2", "--json")

    assert len(ran.json) == 2
    assert len(queues.bodies(queues.dead_letters)) == 2


def test_an_empty_parking_queue_is_no_error(ops: Operator) -> None:
    ran = ops("dead-letters", "redrive")

    assert (ran.code, ran.out) == (0, "")


def test_a_queue_that_is_missing_is_one_sentence(
    ops: Operator, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_PARKING_QUEUE", "no-such-queue")

    for verb in "list", "redrive":
        ran = ops("dead-letters", verb)

        assert (ran.code, ran.out) == (3, "")
        assert ran.err.startswith("error: there is no queue no-such-queue; start the local pipeline")
        assert ran.err.count("\n") == 1


def test_a_stream_that_is_gone_does_not_keep_anybody_from_looking(
    ops: Operator, queues: Queues, stream: Stream
) -> None:
    queues.send(queues.parking, dead_letter(stream))
    stream.kinesis.delete_stream(StreamName=stream.name)

    ran = ops("dead-letters", "list", "--json")

    assert ran.code == 0
    assert ran.json[0]["hours_left"] is None
    assert f"the stream {stream.name} does not exist" in ran.err


def test_every_example_of_the_help_runs(ops: Operator) -> None:
    lines = f"{dead_letters.LIST_EXAMPLES}\n{dead_letters.REDRIVE_EXAMPLES}".splitlines()
    commands = [shlex.split(line)[3:] for line in lines if line.startswith("  python -m ops ")]

    assert len(commands) == 4
    for command in commands:
        assert ops(*command).code == 0, command
