"""One operation of a client with its JSON written and read here.

The only place where botocore does neither itself.  Its serializer and its parser walk every value of every
item in Python, which costs more than everything else that happens to an event or to a lookup; msgspec does
the same in C, from structs and into structs.  botocore's `before-call` hook puts the request's body in place,
`before-parse` hands the answer's over, and endpoint, signature, timeouts, retries and errors stay botocore's.
`tests/integration/chalicelib/test_raw_call.py` proves that what goes over the wire is, as JSON, what plain
boto3 would send.
"""

import threading
from collections.abc import Mapping
from typing import Any

import msgspec
from botocore import xform_name

_encode = msgspec.json.Encoder().encode


class RawCall:
    """Calls one operation, such as `BatchWriteItem`.  Safe to call from several threads."""

    def __init__(self, client: Any, operation: str, minimal: Mapping[str, Any]) -> None:
        """`client` is a boto3 or botocore client; `minimal` are parameters it takes without complaint."""
        self._call = getattr(client, xform_name(operation))
        self._minimal = minimal
        self._mine = threading.local()  # botocore runs its hooks on the calling thread
        service = client.meta.service_model
        # A later botocore may speak CBOR to this service, and then does it all by itself.
        self._is_json = getattr(service, "resolved_protocol", service.protocol) == "json"
        name = f"{service.service_id.hyphenize()}.{operation}"
        client.meta.events.register(f"before-call.{name}", self._put_body)
        client.meta.events.register(f"before-parse.{name}", self._take_body)

    def __call__(self, request: Mapping[str, Any]) -> bytes:
        """The answer's JSON.  `request` holds structs, and bytes where AWS's JSON has Base64.

        Raises what the client raises.
        """
        if not self._is_json:
            return _encode(self._call(**msgspec.to_builtins(request, builtin_types=(bytes,))))
        self._mine.request = _encode(request)
        try:
            answer = self._call(**self._minimal)
            # A botocore from before `before-parse` has read the body already: slower, and as good.
            body: bytes | None = getattr(self._mine, "answer", None)
        finally:
            self._mine.__dict__.clear()
        return _encode(answer) if body is None else body

    # What somebody else calls with this client stays botocore's, and so does an answer that is an error.

    def _put_body(self, params: dict[str, Any], **_: Any) -> None:
        if hasattr(self._mine, "request"):
            params["body"] = self._mine.request

    def _take_body(self, response_dict: dict[str, Any], **_: Any) -> None:
        if hasattr(self._mine, "request") and response_dict["status_code"] < 300:
            self._mine.answer = response_dict["body"]
            response_dict["body"] = b"{}"
