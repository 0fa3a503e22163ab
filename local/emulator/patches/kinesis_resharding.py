"""MiniStack resharding as Kinesis does it: by SplitShard, MergeShards, UpdateShardCount and a stack.

Its own way deletes the parents with what was unread in them, or all shards with all records, and its
CloudFormation leaves a changed ShardCount alone.  Here a parent stays and is read to its end, which names the
children (kinesis_shards.py).  Kinder than AWS: a change is done when it is answered, and there may be any
number in a day.  Left as they are: SubscribeToShard, which goes on after a shard's end, and ListShards'
filter, which MiniStack does not know.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from local.emulator.patches import kinesis_shards
from local.emulator.patches.kinesis_shards import RefusedError, Resharding, Stream
from local.emulator.patches.parts import part, replace

Data = Mapping[str, Any]
Answer = tuple[int, Any, bytes]  # of MiniStack's handlers: status, headers, body


def apply(kinesis: Any, provisioners: Any, mappings: Any, clock: Callable[[], float] = time.time) -> None:
    """Have Kinesis, CloudFormation and MiniStack's own event source mappings know closed shards.

    Raises PatchError.
    """
    _close_shards(kinesis, clock)
    resolve = part(kinesis, "_resolve_stream")
    streams, next_number = part(kinesis, "_streams"), part(kinesis, "_next_sequence_number")
    json_response: Callable[[Data], Answer] = part(kinesis, "json_response")
    error_response: Callable[[str, str, int], Answer] = part(kinesis, "error_response_json")
    positions, esms = part(mappings, "_kinesis_positions"), part(mappings, "_esms")

    def reshard(stream: Stream, change: Callable[[Resharding], object]) -> None:
        """Raises RefusedError."""
        before = set(stream["shards"])
        change(Resharding(stream, next_number, clock))
        # MiniStack's own mappings begin a shard that they have not seen behind its newest record.
        for id_, places in positions.items():
            if esms.get(id_, {}).get("EventSourceArn") == stream["StreamARN"]:
                places.update(dict.fromkeys(stream["shards"].keys() - before, 0))

    def split(stream: Stream, data: Data) -> dict[str, Any]:
        at = str(data["NewStartingHashKey"])
        if not at.isdecimal():
            raise RefusedError("ValidationException", f"NewStartingHashKey {at} is no number")
        reshard(stream, lambda shards: shards.split(data["ShardToSplit"], int(at)))
        return {}

    def merge(stream: Stream, data: Data) -> dict[str, Any]:
        reshard(stream, lambda shards: shards.merge(data["ShardToMerge"], data["AdjacentShardToMerge"]))
        return {}

    def update_count(stream: Stream, data: Data) -> dict[str, Any]:
        count = int(data["TargetShardCount"])
        before = Resharding(stream, next_number).check(count)
        reshard(stream, lambda shards: shards.scale(count))
        named = {"StreamName": stream["StreamName"], "StreamARN": stream["StreamARN"]}
        return {**named, "CurrentShardCount": before, "TargetShardCount": count}

    def answer_with(action: str, change: Callable[[Stream, Data], dict[str, Any]]) -> None:
        @replace(kinesis, action)
        def answer(_: object, data: Data) -> Answer:
            name, stream = resolve(data)
            try:
                if stream is None:
                    raise RefusedError("ResourceNotFoundException", f"Stream {name} not found")
                if stream["StreamModeDetails"]["StreamMode"] != "PROVISIONED":
                    raise RefusedError("ValidationException", f"Stream {name} has on-demand capacity mode")
                return json_response(change(stream, data))
            except RefusedError as exc:
                return error_response(exc.code, str(exc), 400)

    answer_with("_split_shard", split)
    answer_with("_merge_shards", merge)
    answer_with("_update_shard_count", update_count)

    @replace(kinesis, "_compute_hash_ranges")
    def compute_hash_ranges(_: object, count: int) -> list[tuple[str, str]]:
        # A stream is made with the ranges that resharding another one to this count gives.
        return [(str(start), str(end)) for start, end in kinesis_shards.equal_ranges(count)]

    @replace(provisioners, "_RESOURCE_HANDLERS", "AWS::Kinesis::Stream", "update")
    def update_stream(update: Callable[..., Any], name: str, old: Data, new: Data, stack: str) -> Any:
        # A ShardCount that has not changed is no wish, however many shards there are by now.
        stream = streams.get(name)
        count = int(new.get("ShardCount") or 0)
        is_wish = count not in (0, int(old.get("ShardCount") or 0))
        if stream is None or new.get("Name", name) != name or not is_wish:
            return update(name, old, new, stack)
        Resharding(stream, next_number).check(count)  # before anything is changed
        answer = update(name, old, new, stack)
        reshard(stream, lambda shards: shards.scale(count))
        return answer


def _close_shards(kinesis: Any, clock: Callable[[], float]) -> None:
    """Have requests that name, list, write and read shards know closed ones."""
    streams, iterators = part(kinesis, "_streams"), part(kinesis, "_shard_iterators")
    json_response: Callable[[Data], Answer] = part(kinesis, "json_response")

    @replace(kinesis, "_resolve_stream")
    def resolve_stream(resolve: Callable[..., Any], data: Data) -> tuple[str, Stream | None]:
        # Every request that names a stream comes by here first.
        name, stream = resolve(data)
        if stream is not None:
            kinesis_shards.forget(stream, clock())
        return name, stream

    @replace(kinesis, "_route_to_shard")
    def route_to_shard(route: Callable[..., str], hash_key: int, stream: Stream) -> str:
        return route(hash_key, {**stream, "shards": kinesis_shards.open_shards(stream)})

    @replace(kinesis, "_shard_out")
    def shard_out(out: Callable[..., Any], shard_id: str, shard: kinesis_shards.Shard) -> dict[str, Any]:
        told: dict[str, Any] = out(shard_id, shard)
        if kinesis_shards.is_closed(shard):
            told["SequenceNumberRange"]["EndingSequenceNumber"] = kinesis_shards.end_of(shard)
        return told

    @replace(kinesis, "_describe_stream_summary")
    def describe_stream_summary(describe: Callable[..., Answer], data: Data) -> Answer:
        answer = describe(data)
        if answer[0] != 200:
            return answer
        told = json.loads(answer[2])
        summary = told["StreamDescriptionSummary"]
        summary["OpenShardCount"] = len(kinesis_shards.open_shards(streams[summary["StreamName"]]))
        return json_response(told)

    @replace(kinesis, "_get_records")
    def get_records(get: Callable[..., Answer], data: Data) -> Answer:
        place = iterators.get(data.get("ShardIterator"))
        answer = get(data)
        if answer[0] != 200 or place is None:
            return answer
        shards = streams[place["stream"]]["shards"]
        shard = shards[place["shard_id"]]
        if not kinesis_shards.is_closed(shard) or place["position"] < len(shard["records"]):
            return answer
        told = json.loads(answer[2])  # short: there are no records in it
        del told["NextShardIterator"]
        told["ChildShards"] = [
            {
                "ShardId": child_id,
                "ParentShards": kinesis_shards.parents_of(child),
                "HashKeyRange": {
                    "StartingHashKey": child["starting_hash_key"],
                    "EndingHashKey": child["ending_hash_key"],
                },
            }
            for child_id, child in sorted(shards.items())
            if place["shard_id"] in kinesis_shards.parents_of(child)
        ]
        return json_response(told)
