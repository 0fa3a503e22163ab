"""What a dead-letter message says, and that anybody may have written it."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import RecordError
from chalicelib.triage import invocation_record

# As recorded from AWS: a batch given up after its retries, ids and times replaced.
AS_AWS_WRITES_IT = (
    '{"requestContext":{"requestId":"11111111-2222-3333-4444-555555555555",'
    '"functionArn":"arn:aws:lambda:us-east-1:111111111111:function:f","condition":"RetryAttemptsExhausted",'
    '"approximateInvokeCount":2},"responseContext":{"statusCode":200,"executedVersion":"$LATEST",'
    '"functionError":"Unhandled"},"version":"1.0","timestamp":"2025-11-25T16:35:32.123Z",'
    '"KinesisBatchInfo":{"shardId":"shardId-000000000000",'
    '"startSequenceNumber":"49590338271490256608559692538361571095921575989136588898",'
    '"endSequenceNumber":"49590338271490256608559692540925702759324208523137515618",'
    '"approximateArrivalOfFirstRecord":"2025-11-25T16:35:01.456Z",'
    '"approximateArrivalOfLastRecord":"2025-11-25T16:35:02.456Z","batchSize":2,'
    '"streamArn":"arn:aws:kinesis:us-east-1:111111111111:stream/s"}}'
)
ARRIVED_MS = 1764088501456


def changed(path: str, value: Any) -> str:
    record = json.loads(AS_AWS_WRITES_IT)
    if value is ...:
        del record["KinesisBatchInfo"][path]
    else:
        record["KinesisBatchInfo"][path] = value
    return json.dumps(record)


def test_the_pointers_are_read_as_aws_writes_them() -> None:
    assert invocation_record.parse(AS_AWS_WRITES_IT) == invocation_record.Pointers(
        stream="s",
        shard_id="shardId-000000000000",
        first="49590338271490256608559692538361571095921575989136588898",
        last="49590338271490256608559692540925702759324208523137515618",
        batch_size=2,
        arrived_at_ms=ARRIVED_MS,
        condition="RetryAttemptsExhausted",
    )


def test_a_batch_given_up_for_its_age_has_no_response_context() -> None:
    record = json.loads(AS_AWS_WRITES_IT)
    del record["responseContext"]
    record["requestContext"]["condition"] = "RecordAgeExceeded"

    assert invocation_record.parse(json.dumps(record)).condition == "RecordAgeExceeded"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ("{}", "KinesisBatchInfo"),
        ("[]", "Expected `object`"),
        ('"\ud800"', "not JSON"),
        ('{"unknown": ' + "[" * 100_000 + "]" * 100_000 + "}", "recursion"),
        (changed("shardId", ...), "shardId"),
        (changed("shardId", "a b"), "shardId"),
        (changed("shardId", "shardId-0\n"), "shardId"),
        (changed("startSequenceNumber", 5), "startSequenceNumber"),
        (changed("startSequenceNumber", "-5"), "startSequenceNumber"),
        (changed("startSequenceNumber", "٥"), "startSequenceNumber"),
        (changed("endSequenceNumber", "4"), "before it starts"),
        (changed("endSequenceNumber", "9" * 130), "endSequenceNumber"),
        (changed("batchSize", 0), "batchSize"),
        (changed("batchSize", "2"), "batchSize"),
        (changed("streamArn", "s"), "streamArn"),
        (changed("streamArn", "arn:aws:dynamodb:us-east-1:1:table/s"), "streamArn"),
        (changed("streamArn", "arn:aws:kinesis:us-east-1:1:stream/s/consumer/c:1"), "streamArn"),
    ],
)
def test_what_is_no_invocation_record_is_told_with_the_reason(body: str, says: str) -> None:
    with pytest.raises(RecordError, match=says) as caught:
        invocation_record.parse(body)

    assert caught.value.reason == "not_an_invocation_record"


@pytest.mark.parametrize("arrived", [..., None, 5, "yesterday", "2025-11-25T16:35:01.456"])
def test_an_arrival_time_that_cannot_be_read_stops_nothing(arrived: Any) -> None:
    assert invocation_record.parse(changed("approximateArrivalOfFirstRecord", arrived)).arrived_at_ms is None


@pytest.mark.parametrize(
    "arrived",
    [
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2201-01-01T00:00:00Z",
    ],
)
def test_a_time_at_which_nothing_can_have_arrived_is_not_believed(arrived: str) -> None:
    """A case that took it over would stand in no list, or stop every list that shows it."""
    assert invocation_record.parse(changed("approximateArrivalOfFirstRecord", arrived)).arrived_at_ms is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(json.loads(AS_AWS_WRITES_IT)["KinesisBatchInfo"])), json_values)
def test_nothing_in_a_message_can_do_more_than_send_it_to_quarantine(path: str, value: Any) -> None:
    with contextlib.suppress(RecordError):
        pointers = invocation_record.parse(changed(path, value))
        assert int(pointers.first) <= int(pointers.last)


def test_the_hours_left_run_from_arrival_through_retention() -> None:
    pointers = invocation_record.parse(AS_AWS_WRITES_IT)

    assert invocation_record.hours_left(pointers, 24, ARRIVED_MS / 1000 + 3600) == 23
    assert invocation_record.hours_left(pointers, 24, ARRIVED_MS / 1000 + 25 * 3600) == -1


def test_the_hours_left_are_unknown_without_an_arrival_time() -> None:
    pointers = invocation_record.parse(changed("approximateArrivalOfFirstRecord", None))

    assert invocation_record.hours_left(pointers, 24, 0) is None
