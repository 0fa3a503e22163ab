"""Query with the answer's body decoded here.

The only place where botocore does not read an answer's body itself.  Its parser walks every value of every
item in Python, which costs more than everything else that happens to a lookup; msgspec decodes the same
JSON into structs in C.  botocore's `before-parse` hook hands the body over, and endpoint, signature,
timeouts, retries, checksums and errors stay botocore's.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from chalicelib.storage import translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

T = TypeVar("T")


class RawQuery:
    """Queries through one client.  Safe to call from several threads."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self._mine = threading.local()  # botocore runs its hooks on the calling thread
        client.meta.events.register("before-parse.dynamodb.Query", self._take_body)

    def ask(self, query: dict[str, Any], decode: Callable[[bytes], T]) -> T:
        """One Query; what `decode` makes of its answer's JSON.  Raises StorageError."""
        self._mine.is_asking = True
        try:
            with translated():
                answer = self._client.query(**query)
            # A botocore from before this hook has read the body already: slower, and as good.
            body: bytes | None = getattr(self._mine, "body", None)
        finally:
            self._mine.__dict__.clear()
        return decode(msgspec.json.encode(answer) if body is None else body)

    def _take_body(self, response_dict: dict[str, Any], **_: Any) -> None:
        # A query that somebody else makes with this client, and an answer that is an error, stay botocore's.
        if getattr(self._mine, "is_asking", False) and response_dict["status_code"] < 300:
            self._mine.body = response_dict["body"]
            response_dict["body"] = b"{}"
