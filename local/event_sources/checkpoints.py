"""The checkpoints of the Kinesis mappings, kept in a DynamoDB table on the endpoint.

Lambda keeps its mappings' checkpoints on AWS's side, and the endpoint plays AWS: killing every process of the
pipeline loses none.

One item per shard: `mapping` (partition key: function, stream, and when the stream was created, so that a
stream made anew starts anew), `shard` (sort key), `sequence_number` once a record is done, `ended` once the
shard is.  The item with the shard `*` says when the mapping was created and which shards it found.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: A shard's checkpoint is written at most once in this time; what was done since then is delivered again
#: after a crash.
WRITE_INTERVAL_S = 0.25

_MAPPING_ITEM = "*"


class ShardProgress(NamedTuple):
    """How far a shard has been processed: after this record, and whether that was the shard's last."""

    sequence_number: str | None = None
    ended: bool = False


class MappingOrigin(NamedTuple):
    """When a mapping was created (epoch seconds), and the shards that existed then."""

    at: float
    shards: Sequence[str]


class MappingState(NamedTuple):
    """What the table holds about a mapping: nothing for a new one."""

    origin: MappingOrigin | None
    progress: dict[str, ShardProgress]


class Checkpoints:
    """The table of checkpoints.  botocore's errors pass through: the mapping decides which to wait for."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def load(self, mapping: str) -> MappingState:
        """Return everything that the table holds about a mapping; creates the table if it is missing."""
        self._create_table()
        progress: dict[str, ShardProgress] = {}
        origin = None
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#mapping = :mapping",
            ExpressionAttributeNames={"#mapping": "mapping"},
            ExpressionAttributeValues={":mapping": {"S": mapping}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                shard = item["shard"]["S"]
                if shard == _MAPPING_ITEM:
                    shards = [each["S"] for each in item["shards"]["L"]]
                    origin = MappingOrigin(float(item["created_at"]["N"]), shards)
                else:
                    number = item.get("sequence_number", {}).get("S")
                    progress[shard] = ShardProgress(number, item["ended"]["BOOL"])
        return MappingState(origin, progress)

    def save_origin(self, mapping: str, origin: MappingOrigin) -> None:
        """Keep when a mapping was created and which shards it found."""
        shards = [{"S": shard} for shard in origin.shards]
        self._put(mapping, _MAPPING_ITEM, created_at={"N": repr(origin.at)}, shards={"L": shards})

    def save(self, mapping: str, shard: str, progress: ShardProgress) -> None:
        """Keep how far a shard has been processed."""
        number = progress.sequence_number
        self._put(
            mapping,
            shard,
            ended={"BOOL": progress.ended},
            updated_at={"N": repr(round(time.time(), 3))},
            **({} if number is None else {"sequence_number": {"S": number}}),
        )

    def _put(self, mapping: str, shard: str, **attributes: Any) -> None:
        item = {"mapping": {"S": mapping}, "shard": {"S": shard}, **attributes}
        self._dynamodb.put_item(TableName=self._table, Item=item)

    def _create_table(self) -> None:
        try:
            self._dynamodb.create_table(
                TableName=self._table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": "mapping", "AttributeType": "S"},
                    {"AttributeName": "shard", "AttributeType": "S"},
                ],
                KeySchema=[
                    {"AttributeName": "mapping", "KeyType": "HASH"},
                    {"AttributeName": "shard", "KeyType": "RANGE"},
                ],
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "ResourceInUseException":
                raise
        self._dynamodb.get_waiter("table_exists").wait(
            TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )


class ShardCheckpoint:
    """One shard's item in the table, written seldom enough to cost little at full speed."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        mapping: str,
        shard: str,
        progress: ShardProgress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoints = checkpoints
        self._mapping = mapping
        self._shard = shard
        self._clock = clock
        self._kept = self._progress = progress
        self._is_held = False
        self._last_write = float("-inf")

    @property
    def progress(self) -> ShardProgress:
        """How far the shard has been processed, written or not."""
        return self._progress

    def advance(self, progress: ShardProgress) -> None:
        """Remember how far the shard has been processed; `flush_due` will write it."""
        if not self._is_held:
            self._progress = progress

    def hold(self) -> None:
        """Stay at this checkpoint: `advance` has no effect any more."""
        self._is_held = True

    @property
    def due_at(self) -> float | None:
        """When to write the checkpoint, on the clock given; None when the table has it."""
        return None if self._progress == self._kept else self._last_write + WRITE_INTERVAL_S

    def flush_due(self) -> None:
        """Write the checkpoint if it is time to."""
        due_at = self.due_at
        if due_at is not None and self._clock() >= due_at:
            self.flush()

    def flush(self) -> None:
        """Write the checkpoint now if the table does not have it."""
        progress = self._progress
        if progress != self._kept:
            self._last_write = self._clock()
            self._checkpoints.save(self._mapping, self._shard, progress)
            self._kept = progress
