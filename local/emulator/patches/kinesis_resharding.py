"""MiniStack made to reshard as Kinesis does: by SplitShard, MergeShards, UpdateShardCount and a stack.

Its own way deletes the parents with what was unread in them, or all shards with all records, and its
CloudFormation leaves a changed ShardCount alone.  Here a parent stays and is read to its end, which names the
children (stream_shards.py).  Kinder than AWS: a change is done when it is answered, and there may be any
number in a day.  Left as they are: SubscribeToShard, which goes on after a shard's end, and ListShards'
filter, which MiniStack does not know.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from local.emulator.patches import kinesis_shards
from local.emulator.patches.kinesis_shards import RefusedError, Resharding, Stream

Data = Mapping[str, Any]
Answer = tuple[int, Any, bytes]  # of MiniStack's handlers: status, headers, body

_READS = ("_resolve_stream", "_route_to_shard", "_shard_out", "_describe_stream_summary", "_get_records")
_CHANGES = ("_split_shard", "_merge_shards", "_update_shard_count")
_USED = ("_next_sequence_number", "_compute_hash_ranges", "_streams", "_shard_iterators")


def grant(kinesis: Any, provisioners: Any, mappings: Any, clock: Callable[[], float] = time.time) -> None:
    """Have this MiniStack's Kinesis, CloudFormation and event source mappings know closed shards.

    Nothing happens where one of them has changed.
    """
    handlers = getattr(provisioners, "_RESOURCE_HANDLERS", {}).get("AWS::Kinesis::Stream", {})
    parts = [getattr(kinesis, name, None) for name in (*_READS, *_CHANGES, *_USED)]
    parts += [getattr(mappings, "_kinesis_positions", None), getattr(mappings, "_esms", None)]
    if "update" not in handlers or None in parts:
        return
    _know_closed_shards(kinesis, clock)

    def change(stream: Stream, how: Callable[[Resharding], object]) -> None:
        """Raises RefusedError."""
        before = set(stream["shards"])
        how(Resharding(stream, kinesis._next_sequence_number, clock))
        # MiniStack's own mappings begin a shard that they have not seen behind its newest record.
        for id_, positions in mappings._kinesis_positions.items():
            if mappings._esms.get(id_, {}).get("EventSourceArn") == stream["StreamARN"]:
                positions.update(dict.fromkeys(stream["shards"].keys() - before, 0))

    def scale(stream: Stream, count: int) -> None:
        change(stream, lambda shards: shards.scale(count))

    def check(stream: Stream, count: int) -> int:
        return Resharding(stream, kinesis._next_sequence_number).check(count)

    def split(stream: Stream, data: Data) -> dict[str, Any]:
        at = str(data["NewStartingHashKey"])
        if not at.isdecimal():
            raise RefusedError("ValidationException", f"NewStartingHashKey {at} is no number")
        change(stream, lambda shards: shards.split(data["ShardToSplit"], int(at)))
        return {}

    def merge(stream: Stream, data: Data) -> dict[str, Any]:
        change(stream, lambda shards: shards.merge(data["ShardToMerge"], data["AdjacentShardToMerge"]))
        return {}

    def update_count(stream: Stream, data: Data) -> dict[str, Any]:
        count = int(data["TargetShardCount"])
        before = check(stream, count)
        scale(stream, count)
        named = {"StreamName": stream["StreamName"], "StreamARN": stream["StreamARN"]}
        return {**named, "CurrentShardCount": before, "TargetShardCount": count}

    update: Callable[..., Any] = handlers["update"]

    def update_stream(name: str, old: Data, new: Data, stack: str) -> Any:
        """CloudFormation's.  A ShardCount that has not changed is no wish, whatever became of the shards."""
        stream = kinesis._streams.get(name)
        count = int(new.get("ShardCount") or 0)
        is_wish = count not in (0, int(old.get("ShardCount") or 0))
        if stream is None or new.get("Name", name) != name or not is_wish:
            return update(name, old, new, stack)
        check(stream, count)  # before anything is changed
        answer = update(name, old, new, stack)
        scale(stream, count)
        return answer

    # A stream is made with the ranges that another one comes to.
    kinesis._compute_hash_ranges = lambda count: [
        (str(start), str(end)) for start, end in kinesis_shards.equal_ranges(count)
    ]
    for name, changing in zip(_CHANGES, (split, merge, update_count), strict=True):
        setattr(kinesis, name, _answering(kinesis, changing))
    handlers["update"] = update_stream


def _know_closed_shards(kinesis: Any, clock: Callable[[], float]) -> None:
    resolve, route, out, summary, records = (getattr(kinesis, name) for name in _READS)

    def resolve_stream(data: Data) -> tuple[str, Stream | None]:
        # Every request that names a stream comes by here first.
        name, stream = resolve(data)
        if stream is not None:
            kinesis_shards.forget(stream, clock())
        return name, stream

    def route_to_shard(hash_key: int, stream: Stream) -> str:
        shard_id: str = route(hash_key, {**stream, "shards": kinesis_shards.open_shards(stream)})
        return shard_id

    def shard_out(shard_id: str, shard: kinesis_shards.Shard) -> dict[str, Any]:
        told: dict[str, Any] = out(shard_id, shard)
        if kinesis_shards.is_closed(shard):
            told["SequenceNumberRange"]["EndingSequenceNumber"] = kinesis_shards.end_of(shard)
        return told

    def describe_stream_summary(data: Data) -> Answer:
        answer: Answer = summary(data)
        if answer[0] != 200:
            return answer
        told = json.loads(answer[2])
        told["StreamDescriptionSummary"]["OpenShardCount"] = len(kinesis_shards.open_shards(resolve(data)[1]))
        return _json(kinesis, told)

    def get_records(data: Data) -> Answer:
        place = kinesis._shard_iterators.get(data.get("ShardIterator"))
        answer: Answer = records(data)
        if answer[0] != 200 or place is None:
            return answer
        stream = kinesis._streams[place["stream"]]
        shard = stream["shards"][place["shard_id"]]
        if not kinesis_shards.is_closed(shard) or place["position"] < len(shard["records"]):
            return answer
        told = json.loads(answer[2])  # short: there are no records in it
        del told["NextShardIterator"]
        told["ChildShards"] = [
            {
                "ShardId": child_id,
                "ParentShards": kinesis_shards.parents_of(child),
                "HashKeyRange": out(child_id, child)["HashKeyRange"],
            }
            for child_id, child in sorted(stream["shards"].items())
            if place["shard_id"] in kinesis_shards.parents_of(child)
        ]
        return _json(kinesis, told)

    ours = (resolve_stream, route_to_shard, shard_out, describe_stream_summary, get_records)
    for name, patched in zip(_READS, ours, strict=True):
        setattr(kinesis, name, patched)


def _answering(kinesis: Any, change: Callable[[Stream, Data], dict[str, Any]]) -> Callable[[Data], Answer]:
    """What MiniStack calls for an action that changes shards."""

    def answer(data: Data) -> Answer:
        name, stream = kinesis._resolve_stream(data)
        try:
            if stream is None:
                raise RefusedError("ResourceNotFoundException", f"Stream {name} not found")
            if stream["StreamModeDetails"]["StreamMode"] != "PROVISIONED":
                raise RefusedError("ValidationException", f"Stream {name} has on-demand capacity mode")
            return _json(kinesis, change(stream, data))
        except RefusedError as exc:
            refused: Answer = kinesis.error_response_json(exc.code, str(exc), 400)
            return refused

    return answer


def _json(kinesis: Any, told: Data) -> Answer:
    answer: Answer = kinesis.json_response(told)
    return answer
