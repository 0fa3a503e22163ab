"""Markers of voids that were stored before there were any: found by scanning the history, and made.

How far that has come stands in the history table itself, under a serial that no product can have, so that a
table restored to an earlier moment says what is true of it.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.deadline import Deadline
from chalicelib.domain.voids import VOID
from chalicelib.errors import StorageError
from chalicelib.tables.history import MAX_BATCH_ITEMS, History
from chalicelib.tables.items import Item
from chalicelib.tables.markers import Marker, marked_void, marker_of
from ops.output import counted, when

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: How long one write may wait for DynamoDB.
PATIENCE_S = 60.0

_KEY: dict[str, Any] = {"serial": {"S": "~backfill"}, "position": {"S": "~void-markers"}}


class Progress(msgspec.Struct):
    """How far a backfill has come; the counts are since it began."""

    items: int = 0  # looked at
    voids: int = 0  # of them, that name something
    missing: int = 0  # of these, that had no marker, or another one
    after: dict[str, Any] | None = None  # the key to go on behind
    finished_at_ms: int | None = None


def progress(client: "DynamoDBClient", table: str) -> Progress | None:
    """Return what is kept of the last backfill; None when none was ever begun."""
    item = client.get_item(TableName=table, Key=_KEY, ConsistentRead=True).get("Item")
    return None if item is None else msgspec.json.decode(item["progress"]["S"], type=Progress)


def backfill(
    client: "DynamoDBClient",
    table: str,
    *,
    dry_run: bool,
    limit: int | None = None,
    clock: Callable[[], float] = time.time,
) -> Progress:
    """Make the markers that are missing, going on where an unfinished backfill has stopped.

    At most `limit` reads of 1 MB are made.  With `dry_run` nothing is written, neither markers nor how far it
    came.  Raises ClientError, BotoCoreError and StorageError; what was done until then is kept.
    """
    kept = progress(client, table)
    done = kept if kept is not None and kept.finished_at_ms is None else Progress()
    history = History(client, table)
    reads = 0
    while done.finished_at_ms is None and (limit is None or reads < limit):
        reads += 1
        start: Any = {} if done.after is None else {"ExclusiveStartKey": done.after}
        page = client.scan(
            TableName=table,
            FilterExpression="#type = :void",
            ExpressionAttributeNames={"#type": "type"},
            ExpressionAttributeValues={":void": {"S": VOID}},
            **start,
        )
        markers = [
            marker for item in page["Items"] if (marker := marker_of(msgspec.convert(item, Item))) is not None
        ]
        missing = _missing(history, markers)
        if not dry_run:
            _write(history, missing)
        done.items += page["ScannedCount"]
        done.voids += len(markers)
        done.missing += len(missing)
        done.after = page.get("LastEvaluatedKey")
        if done.after is None:
            done.finished_at_ms = round(clock() * 1000)
        if not dry_run:
            item = {**_KEY, "progress": {"S": msgspec.json.encode(done).decode()}}
            client.put_item(TableName=table, Item=item)
    return done


def are_complete(client: "DynamoDBClient", table: str) -> tuple[bool, str]:
    """Return whether every void is known to have its marker, and why.

    Reads what is kept of the last backfill, and 1 MB of the table where there was none.  Raises ClientError,
    BotoCoreError and StorageError.
    """
    done = progress(client, table)
    if done is not None and done.finished_at_ms is not None:
        return True, f"a backfill has looked through the table, {when(done.finished_at_ms)}"
    if done is not None:
        return False, "a backfill has stopped before the end"
    seen = backfill(client, table, dry_run=True, limit=1)
    if seen.finished_at_ms is None:
        return False, "not known: no backfill has run, and the table is too large to look through here"
    return not seen.missing, f"{seen.missing} of {counted(seen.voids, 'void')} without"


def _missing(history: History, markers: Sequence[Marker]) -> list[Marker]:
    """Those that the table does not hold as they should be."""
    held = {
        (serial, void)
        for serial in {marker.serial.S for marker in markers}
        for void in history.voids(serial).voids
    }
    return [
        marker
        for marker in markers
        if (marker.serial.S, marked_void(marker.position.S, marker.names, marker.why)) not in held
    ]


def _write(history: History, markers: Sequence[Marker]) -> None:
    for start in range(0, len(markers), MAX_BATCH_ITEMS):
        written = history.write(markers[start : start + MAX_BATCH_ITEMS], Deadline(PATIENCE_S))
        for _, refusal in written.refused:
            raise refusal
        if written.unfinished:
            raise written.last_error or StorageError("time ran out before the markers were written")
