"""Kinesis with shards that refuse what AWS's would, entry by entry, whoever puts it.

MiniStack's shards take whatever comes.  It has no limits of its own to switch on, so that its PutRecord and
PutRecords are handed only what `shard_limits` lets through, and the rest is answered here.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from local.emulator.patches.parts import part, replace
from local.emulator.shard_limits import ShardLimits

#: What PutRecords takes; MiniStack refuses a longer request as a whole.
MAX_ENTRIES = 500

_EXCEEDED = "ProvisionedThroughputExceededException"

Data = Mapping[str, Any]
Answer = tuple[int, Any, bytes]  # of MiniStack's handlers: status, headers, body


def apply(kinesis: Any, clock: Callable[[], float] = time.monotonic) -> None:
    """Give every shard its limits; to be applied after what changes shards.  Raises PatchError."""
    limits = ShardLimits(clock)
    resolve, route = part(kinesis, "_resolve_stream"), part(kinesis, "_route_to_shard")
    hash_of = part(kinesis, "_partition_key_to_hash")
    json_response: Callable[[Data], Answer] = part(kinesis, "json_response")
    error_response: Callable[[str, str, int], Answer] = part(kinesis, "error_response_json")

    def refusal(stream: Data, entry: Data) -> str | None:
        """The reason why the entry's shard does not take it; None when it does."""
        given, key = entry.get("ExplicitHashKey"), entry.get("PartitionKey", "")
        shard_id = route(int(given) if given else hash_of(key), stream)
        data = entry.get("Data") or ""  # base64
        size = len(data) // 4 * 3 - data[-2:].count("=") + len(key.encode())
        if limits.takes(f"{stream['StreamARN']}/{shard_id}", size):
            return None
        account = stream["StreamARN"].split(":")[4]
        # As Kinesis words it (API reference, PutRecords, example of a partial failure).
        return f"Rate exceeded for shard {shard_id} in stream {stream['StreamName']} under account {account}."

    @replace(kinesis, "_put_record")
    def put_record(put: Callable[[Data], Answer], data: Data) -> Answer:
        _, stream = resolve(data)
        reason = refusal(stream, data) if stream else None
        return put(data) if reason is None else error_response(_EXCEEDED, reason, 400)

    @replace(kinesis, "_put_records")
    def put_records(put: Callable[[Data], Answer], data: Data) -> Answer:
        _, stream = resolve(data)
        entries = data.get("Records", [])
        if stream is None or len(entries) > MAX_ENTRIES:
            return put(data)
        reasons = [refusal(stream, entry) for entry in entries]
        taken = [entry for entry, reason in zip(entries, reasons, strict=True) if reason is None]
        answer = put({**data, "Records": taken})
        if answer[0] != 200 or len(taken) == len(entries):
            return answer
        told = json.loads(answer[2])
        results = iter(told["Records"])
        told["Records"] = [
            next(results) if reason is None else {"ErrorCode": _EXCEEDED, "ErrorMessage": reason}
            for reason in reasons
        ]
        told["FailedRecordCount"] = len(entries) - len(taken)
        return json_response(told)
