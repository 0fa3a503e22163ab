"""Kinesis in CBOR, which AWS's SDKs for Java speak unless told otherwise (`application/x-amz-cbor-1.1`).

MiniStack reads and writes it with cbor2, but with JSON's types: a client that expects bytes gets base64 text,
and timestamps are seconds where this protocol has milliseconds (aws-sdk-java-v2, SdkCborGenerator; #4661 and
#979 there).  Here requests and answers are translated from and to the JSON that MiniStack gets right.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import cbor2

from local.emulator.patches.parts import replace

_CBOR, _JSON = "application/x-amz-cbor-1.1", "application/x-amz-json-1.1"

_EPOCH_TAG = 1  # RFC 8949, 3.4.2: of seconds; here of milliseconds


def apply(kinesis: Any) -> None:
    """Have requests in CBOR answered in CBOR with its own types.  Raises PatchError."""

    @replace(kinesis, "handle_request")
    async def handle_request(
        handle: Callable[..., Awaitable[Any]],
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Any,
    ) -> Any:
        # SubscribeToShard's answer is a stream, which MiniStack writes in CBOR itself.
        is_ours = not headers.get("x-amz-target", "").endswith(".SubscribeToShard")
        request = _as_json(body) if is_ours and headers.get("content-type", "") == _CBOR else None
        if request is None:
            return await handle(method, path, headers, body, query_params)
        answer = await handle(method, path, {**headers, "content-type": _JSON}, request, query_params)
        status, answer_headers, told = answer
        typed = json.loads(told or b"{}", object_hook=_with_cbor_types)
        return status, {**answer_headers, "Content-Type": _CBOR}, cbor2.dumps(typed)


def _as_json(body: bytes) -> bytes | None:
    """The request in JSON; None when it is none, which MiniStack then says itself."""
    try:
        asked = cbor2.loads(body, semantic_decoders={_EPOCH_TAG: lambda millis, _: millis / 1000})
        return json.dumps(asked, default=_base64).encode()
    except (cbor2.CBORError, TypeError, ValueError):
        return None


def _base64(value: Any) -> str:
    return base64.b64encode(value).decode()  # raises TypeError for what is no bytes


def _with_cbor_types(told: dict[str, Any]) -> dict[str, Any]:
    for name, value in told.items():
        if name == "Data" and isinstance(value, str):
            told[name] = base64.b64decode(value)
        elif name.endswith("Timestamp") and isinstance(value, int | float):
            told[name] = cbor2.CBORTag(_EPOCH_TAG, round(value * 1000))
    return told
