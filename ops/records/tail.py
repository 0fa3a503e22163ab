"""`ops tail`: the stream as it comes in, decoded, one line per record.

Shards are read in turn; when one ends, because the stream was resharded, its children are read from their
beginning.  Reading takes a share of each shard's five reads per second, so this is for looking, not for
leaving on.
"""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib import settings
from chalicelib.deadline import Deadline
from chalicelib.errors import GoneError, RecordError
from chalicelib.stream import records, replay_reader
from chalicelib.stream.records import Record
from cli.arguments import Commands, positive
from cli.exits import EXIT_OK
from ops import arguments, clients
from ops.output import print_json_text, print_line, when
from ops.records import stream
from ops.records.stream import shard_ids

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient


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


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "tail", help, EXAMPLES, run=run)
    parser.add_argument(
        "--since", type=arguments.moment_ms, metavar="T", help="begin there: RFC 3339, or 30m, 6h, 2d (now)"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="stop after N records")


def run(args: argparse.Namespace) -> int:
    """Print records until the limit or Ctrl-C."""
    kinesis = clients.kinesis()
    stream.retention_hours(kinesis)  # raises CommandError where there is no stream
    for count, record in enumerate(follow(kinesis, settings.stream_name(), args.since), start=1):
        if args.json:
            print_json_text(_json(record))
        else:
            print_line(_line(record))
        if count == args.limit:
            break
    return EXIT_OK


def follow(kinesis: "KinesisClient", stream: str, since_ms: int | None) -> Iterator[Record]:
    """Yield the stream's user records as they come, without end."""
    start = ("AT_TIMESTAMP", {"Timestamp": since_ms / 1000}) if since_ms is not None else ("LATEST", {})
    known: set[str] = set()
    followed: list[_FollowedShard] = []
    is_relisted = True
    while True:
        if is_relisted:
            for shard_id in shard_ids(kinesis, stream):
                if shard_id not in known:
                    known.add(shard_id)
                    shard = replay_reader.Shard(kinesis, stream, shard_id, lambda: Deadline(PATIENCE_S))
                    followed.append(_FollowedShard(shard, *start))
            start = ("TRIM_HORIZON", {})  # a shard created meanwhile is read from its beginning
        for each in followed:
            yield from records.from_get_records(stream, each.shard.shard_id, each.read())
        is_relisted = any(each.is_over for each in followed)
        followed = [each for each in followed if not each.is_over]


class _FollowedShard:
    """A shard, and where its next read begins."""

    def __init__(self, shard: Any, type_: str, parameters: dict[str, Any]) -> None:
        self.shard = shard
        self.is_over = False
        self._start = (type_, parameters)
        self._iterator: str | None = None

    def read(self) -> list[Any]:
        """Return what has come since the last call."""
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


def _line(record: Record) -> str:
    arrived = when(record.arrived_at_ms)
    try:
        event = records.decode(record)
    except RecordError as exc:
        return f"{arrived}  {record.partition_key}  no event: {exc.reason}: {exc}"
    return f"{arrived}  {event.serial}  {event.type}  {event.occurred_at}  {event.source or ''}".rstrip()


def _json(record: Record) -> str:
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
