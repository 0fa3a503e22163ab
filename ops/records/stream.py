"""The stage's stream as commands see it: what it is called, what it retains, which shards it has."""

from typing import TYPE_CHECKING

from chalicelib import settings
from chalicelib.deadline import Deadline
from chalicelib.errors import GoneError
from chalicelib.stream import replay_reader
from cli.exits import EXIT_UNAVAILABLE
from ops.clients import remedy
from ops.output import CommandError

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

_PATIENCE_S = 30.0


def retention_hours(kinesis: "KinesisClient") -> int:
    """Return for how many hours the stream retains records.  Raises CommandError where there is no stream."""
    name = settings.stream_name()
    try:
        return replay_reader.retention_hours(kinesis, name, Deadline(_PATIENCE_S))
    except GoneError as exc:
        raise CommandError(f"there is no stream {name}; {remedy()}", EXIT_UNAVAILABLE) from exc


def shard_ids(kinesis: "KinesisClient", stream: str) -> list[str]:
    """Return all shards whose records the stream may still retain, closed ones included."""
    pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream)
    return [shard["ShardId"] for page in pages for shard in page["Shards"]]
