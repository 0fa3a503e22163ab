"""A read of an idle shard that ends at once when something is put on it, instead of after a pause.

The only place that knows the header by which the local mapping asks for that and the embedded endpoint
grants it.  Neither AWS nor a MiniStack as it is knows the header: there a read answers at once, empty, and
the mapping pauses as it would without this.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import msgspec

from local.emulator.patches import kinesis_shards

_HEADER = "x-lifecycle-wait-ms"

# What a waiting read should hear of: records, and that there will be none any more.
_NEWS = {"PutRecord", "PutRecords", "SplitShard", "MergeShards", "UpdateShardCount"}

#: However long a reader is willing to wait, it should notice soon that it is to stop.
LONGEST_S = 0.5


class _GetRecords(msgspec.Struct):
    ShardIterator: str


_wait_s: ContextVar[float] = ContextVar("wait_s", default=0.0)


def allow(kinesis: Any) -> None:
    """Have GetRecords of this client say how long it may wait, as `waiting` has it."""
    kinesis.meta.events.register("before-call.kinesis.GetRecords", _say)


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """Within: GetRecords may wait so long for a record."""
    before = _wait_s.set(min(seconds, LONGEST_S))
    try:
        yield
    finally:
        _wait_s.reset(before)


def _say(params: dict[str, Any], **_: Any) -> None:
    if _wait_s.get() > 0:
        params["headers"][_HEADER] = str(round(_wait_s.get() * 1000))


def grant(kinesis: Any) -> None:
    """Have this MiniStack's GetRecords wait when it is asked to.

    Nothing happens where MiniStack has changed.
    """
    handle: Callable[..., Awaitable[Any]] | None = getattr(kinesis, "handle_request", None)
    iterators: Any = getattr(kinesis, "_shard_iterators", None)
    streams: Any = getattr(kinesis, "_streams", None)
    if handle is None or iterators is None or streams is None:
        return
    put = asyncio.Event()

    def has_records(iterator: str) -> bool:
        """Also where there is something else to say: an unknown iterator, a stream or shard at its end."""
        place = iterators.get(iterator)
        stream = streams.get(place["stream"]) if place else None
        shard = stream["shards"].get(place["shard_id"]) if stream else None
        return shard is None or kinesis_shards.is_closed(shard) or len(shard["records"]) > place["position"]

    async def until_there_are_records(iterator: str, seconds: float) -> None:
        ends_at = time.monotonic() + min(seconds, LONGEST_S)
        with suppress(asyncio.TimeoutError):
            while not has_records(iterator):
                await asyncio.wait_for(put.wait(), ends_at - time.monotonic())

    async def handle_request(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Any
    ) -> Any:
        nonlocal put
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        wait_ms = headers.get(_HEADER, "")
        if action == "GetRecords" and wait_ms.isdecimal():
            with suppress(msgspec.DecodeError):  # who answers it says what is wrong with it
                iterator = msgspec.json.decode(body, type=_GetRecords).ShardIterator
                await until_there_are_records(iterator, int(wait_ms) / 1000)
        answer = await handle(method, path, headers, body, query_params)
        if action in _NEWS:
            put.set()
            put = asyncio.Event()
        return answer

    kinesis.handle_request = handle_request
