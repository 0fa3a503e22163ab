"""The REST API on a port of this machine: Chalice's own local server over the stage in the environment.

Chalice's command `chalice local` is the same server.  This one is for a parent that starts it as a child: it
prints where it listens, keeps connections alive without stalls, ends when its parent does, and does to an
answer what API Gateway does: no body after HEAD, and `minimum_compression_size` of .chalice/config.json.

    python -m local.api_server --port N         N = 0 takes a free port; the URL is the first line on stdout
"""

import argparse
import gzip
import os
import sys
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from chalice.app import Chalice
from chalice.cli.factory import CLIFactory
from chalice.config import Config
from chalice.deploy.validate import validate_routes
from chalice.local import (
    ChaliceRequestHandler,
    LocalDevServer,
    LocalGatewayException,
    create_local_server,
)

from chalicelib.api.size import LAMBDA_MAX_BYTES, serialised_bytes
from cli.exits import EXIT_OK, EXIT_UNAVAILABLE
from cli.paths import ROOT
from local import greedy_paths

HOST = "127.0.0.1"

#: Callers that may arrive together; http.server's own 5 are fewer than a browser's connections.
BACKLOG = 128

# On loopback bytes cost nothing; only the time to compress them counts.
_COMPRESSION_LEVEL = 1

#: What API Gateway answers when Lambda refuses the function's response.
_BAD_GATEWAY = '{"message": "Internal server error"}'


#: The largest request that API Gateway takes, and what it says to a larger one ("Quotas for configuring and
#: running a REST API", Amazon API Gateway Developer Guide).
_MAX_BODY_BYTES = 10 * 1024 * 1024
_TOO_LARGE = b'{"message": "HTTP content length exceeded 10485760 bytes."}'


class _TooLargeError(LocalGatewayException):
    CODE = 413


class Handler(ChaliceRequestHandler):
    """Chalice's local handler without its stalls, and with API Gateway's compression.

    Chalice writes headers and body separately, and on a connection that is kept alive the second waits 40 ms
    for the first one's delayed acknowledgement.  The conditions for compressing are API Gateway's ("Receive
    an API response with a compressed payload", Amazon API Gateway Developer Guide): the caller names gzip in
    Accept-Encoding, the answer has no Content-Encoding yet, and it is large enough.  A response that Lambda
    refuses for its size becomes API Gateway's 502.
    """

    wbufsize = -1  # one write an answer; http.server flushes it
    disable_nagle_algorithm = True

    def __init__(
        self, request: Any, client_address: Any, server: Any, app_object: Chalice, config: Config
    ) -> None:
        self._minimum_bytes: int | None = config.minimum_compression_size
        super().__init__(request, client_address, server, app_object, config)

    def _parse_payload(self) -> tuple[Any, bytes | None]:
        length = self.headers.get("Content-Length", "0")
        if length.isascii() and length.isdigit() and int(length) > _MAX_BODY_BYTES:
            # Not read: it may be as large as its sender says.
            self.close_connection = True
            raise _TooLargeError({"Content-Type": "application/json"}, _TOO_LARGE)
        payload: tuple[Any, bytes | None] = super()._parse_payload()
        return payload

    def _generic_handle(self) -> None:
        try:
            super()._generic_handle()
        except _TooLargeError as exc:
            self._send_error_response(exc)

    def _send_http_response_with_body(self, code: int, headers: dict[str, Any], body: str | bytes) -> None:
        if self.command == "HEAD":
            # A body here would be read as the beginning of the connection's next answer.
            self._send_http_response_no_body(code, headers)
            return
        size = len(body) * 4 // 3 if isinstance(body, bytes) else serialised_bytes(body)
        if size + len(str(headers)) > LAMBDA_MAX_BYTES:
            code, headers, body = 502, {"Content-Type": "application/json"}, _BAD_GATEWAY
        data = body if isinstance(body, bytes) else body.encode()
        if self._is_compressed(headers, len(data)):
            vary = headers.get("Vary")
            headers = {
                **headers,
                "Content-Encoding": "gzip",
                "Vary": f"{vary}, Accept-Encoding" if vary else "Accept-Encoding",
            }
            # No time in it: the same answer has the same bytes.
            data = gzip.compress(data, _COMPRESSION_LEVEL, mtime=0)
        super()._send_http_response_with_body(code, headers, data)

    def _is_compressed(self, headers: Mapping[str, Any], size: int) -> bool:
        return (
            self._minimum_bytes is not None
            and size >= self._minimum_bytes
            and not any(name.lower() == "content-encoding" for name in headers)
            and _accepts_gzip(self.headers.get("Accept-Encoding", ""))
        )


def server(port: int, host: str = HOST) -> LocalDevServer:
    """Chalice's local server for the application, bound to `port`.

    Raises OSError when the port is taken.
    """
    # Its own copy of the environment takes `.chalice/config.json`'s variables: which stage and endpoint
    # this process serves is for its caller to say.
    factory = CLIFactory(str(ROOT), environ=dict(os.environ))
    config: Any = factory.create_config_obj(chalice_stage_name="local")
    app = config.chalice_app
    validate_routes(app.routes)
    greedy_paths.match()
    running = create_local_server(app, config, host, port)
    running.server.RequestHandlerClass = partial(Handler, app_object=app, config=config)
    running.server.socket.listen(BACKLOG)
    return running


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header names gzip with a weight above 0 (RFC 9110, 12.5.3)."""
    for coding in accept_encoding.split(","):
        name, _, weight = coding.partition(";")
        if name.strip().lower() in ("gzip", "x-gzip"):
            return not weight.strip() or weight.strip().lower().removeprefix("q=").strip("0.") != ""
    return False


def main() -> int:
    """Serve until stdin ends, which it does when the parent does, or until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.api_server", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    port = parser.parse_args().port
    try:
        running = server(port)
    except OSError as exc:
        print(f"error: port {port}: {exc.strerror}; choose another with --port", file=sys.stderr)
        return EXIT_UNAVAILABLE
    print(f"http://{HOST}:{running.server.server_address[1]}", flush=True)
    sys.stdout = sys.stderr  # the access log: whoever started us reads one line and no more
    if not sys.stdin.isatty():
        threading.Thread(target=_end_with_stdin, args=(running,), daemon=True).start()
    try:
        running.server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        running.server.server_close()
    return EXIT_OK


def _end_with_stdin(running: LocalDevServer) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    running.shutdown()


if __name__ == "__main__":
    sys.exit(main())
