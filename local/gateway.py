"""What API Gateway does to an answer on its way out, for the local server that stands in its place.

Compression, and no body after HEAD.  `minimum_compression_size` of .chalice/config.json, which `chalice
deploy` gives to API Gateway, holds here too.  The conditions are API Gateway's ("Receive an API response
with a compressed payload", Amazon API Gateway Developer Guide): the caller names gzip in Accept-Encoding,
the answer has no Content-Encoding yet, and it is large enough.
"""

import gzip
import re
from collections.abc import Mapping
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import ChaliceRequestHandler

# On loopback bytes cost nothing; only the time to compress them counts.
_LEVEL = 1

_GZIP = re.compile(
    r"(?:^|,)\s*(?:gzip|x-gzip)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?\s*(?:,|$)", re.IGNORECASE
)


class GatewayHandler(ChaliceRequestHandler):
    """Chalice's local handler with API Gateway's compression."""

    def __init__(
        self, request: Any, client_address: Any, server: Any, app_object: Chalice, config: Config
    ) -> None:
        self._minimum_bytes: int | None = config.minimum_compression_size
        super().__init__(request, client_address, server, app_object, config)

    def _send_http_response_with_body(self, code: int, headers: dict[str, Any], body: str | bytes) -> None:
        if self.command == "HEAD":
            # A body here would be read as the beginning of the connection's next answer.
            self._send_http_response_no_body(code, headers)
            return
        data = body if isinstance(body, bytes) else body.encode()
        if self._is_compressed(headers, len(data)):
            vary = headers.get("Vary")
            compressed = {
                **headers,
                "Content-Encoding": "gzip",
                "Vary": f"{vary}, Accept-Encoding" if vary else "Accept-Encoding",
            }
            # No time in it: the same answer has the same bytes.
            super()._send_http_response_with_body(code, compressed, gzip.compress(data, _LEVEL, mtime=0))
        else:
            super()._send_http_response_with_body(code, headers, data)

    def _is_compressed(self, headers: Mapping[str, Any], size: int) -> bool:
        return (
            self._minimum_bytes is not None
            and size >= self._minimum_bytes
            and not any(name.lower() == "content-encoding" for name in headers)
            and _GZIP.search(self.headers.get("Accept-Encoding", "")) is not None
        )
