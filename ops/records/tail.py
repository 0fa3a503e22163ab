"""`ops tail`: the stream as it comes in, decoded, one line a record.

Every shard is read in turn; when one ends, because the stream was resharded, its children are read from
their beginning.  Reading takes a share of each shard's five reads a second, so this is for looking, not for
leaving on.
"""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli.exits import EXIT_OK, EXIT_UNAVAILABLE
from ops import arguments
from ops.output import CommandError, tell, tell_json_text, when

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

    from chalicelib.stream.records import Record

EXAMPLES = """\
  # what comes in from now on, until Ctrl-C
  python -m ops tail

  # the last ten minutes first; everything about each record, for a program
  python -m ops tail --since 10m --json

  # the next hundred records, then stop
  python -m ops tail --limit 100
"""

#: How long one read may wait for Kinesis before `tail` gives up.
PATIENCE_S = 30.0

_PAGE = 1000


def add(nouns: arguments.Commands) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "tail", "follow the stream, decoded", EXAMPLES)
    parser.add_argument(
        "--since", type=arguments.moment_ms, metavar="T", help="begin there: RFC 3339, or 30m, 6h, 2d (now)"
    )
    parser.add_argument("--limit", type=arguments.positive, metavar="N", help="stop after N records")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print records until the limit or Ctrl-C."""
    from chalicelib import settings
    from chalicelib.errors import GoneError
    from ops import clients

    stream = settings.stream_name()
    try:
        for count, record in enumerate(follow(clients.kinesis(), stream, args.since), start=1):
            if args.json:
                tell_json_text(_json(record))
            else:
                tell(_line(record))
            if count == args.limit:
                break
    except GoneError as exc:
        raise CommandError(f"there is no stream {stream}; {clients.remedy()}", EXIT_UNAVAILABLE) from exc
    return EXIT_OK


def follow(kinesis: "KinesisClient", stream: str, since_ms: int | None) -> Iterator["Record"]:
    """The stream's user records as they come, without end.  Raises GoneError when there is no stream."""
    from chalicelib.deadline import Deadline
    from chalicelib.stream import records, replay_reader

    replay_reader.retention_hours(kinesis, stream, Deadline(PATIENCE_S))  # says whether the stream is there
    start = ("AT_TIMESTAMP", {"Timestamp": since_ms / 1000}) if since_ms is not None else ("LATEST", {})
    known: set[str] = set()
    open_shards: list[_Open] = []
    is_relisted = True
    while True:
        if is_relisted:
            for shard_id in _shard_ids(kinesis, stream):
                if shard_id not in known:
                    known.add(shard_id)
                    shard = replay_reader.Shard(kinesis, stream, shard_id, lambda: Deadline(PATIENCE_S))
                    open_shards.append(_Open(shard, *start))
            start = ("TRIM_HORIZON", {})  # a shard born while we look is read from its beginning
        for each in open_shards:
            yield from records.from_get_records(stream, each.shard.shard_id, each.read())
        is_relisted = any(each.is_over for each in open_shards)
        open_shards = [each for each in open_shards if not each.is_over]


class _Open:
    """A shard being followed."""

    def __init__(self, shard: Any, type_: str, parameters: dict[str, Any]) -> None:
        self.shard = shard
        self.is_over = False
        self._start = (type_, parameters)
        self._iterator: str | None = None

    def read(self) -> list[Any]:
        """What has come since the last call."""
        from chalicelib.errors import GoneError

        try:
            if self._iterator is None:
                type_, parameters = self._start
                self._iterator = self.shard.iterator(type_, **parameters)
            answer = self.shard.read(self._iterator, _PAGE)
        except GoneError:  # its retention is over
            self.is_over = True
            return []
        if answer is None:  # the iterator has expired; the next call goes on behind the last record
            self._iterator = None
            return []
        read: list[Any] = answer["Records"]
        if read:
            self._start = ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": read[-1]["SequenceNumber"]})
        self._iterator = answer.get("NextShardIterator")
        self.is_over = self._iterator is None
        return read


def _shard_ids(kinesis: "KinesisClient", stream: str) -> list[str]:
    pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream)
    return [shard["ShardId"] for page in pages for shard in page["Shards"]]


def _line(record: "Record") -> str:
    from chalicelib.errors import RecordError
    from chalicelib.stream import records

    arrived = when(record.arrived_at_ms)
    try:
        event = records.decode(record)
    except RecordError as exc:
        return f"{arrived}  {record.partition_key}  no event: {exc.reason}: {exc}"
    return f"{arrived}  {event.serial}  {event.type}  {event.occurred_at}  {event.source or ''}".rstrip()


def _json(record: "Record") -> str:
    import msgspec

    from chalicelib.errors import RecordError
    from chalicelib.stream import records

    told: dict[str, Any] = {
        "id": record.id,
        "arrived_at": when(record.arrived_at_ms),
        "partition_key": record.partition_key,
    }
    try:
        event = records.decode(record)
    except RecordError as exc:
        told |= {"reason": exc.reason, "sentence": str(exc)}
    else:
        told["event"] = {**msgspec.structs.asdict(event), "metadata": msgspec.Raw(event.metadata.encode())}
    return msgspec.json.encode(told).decode()
