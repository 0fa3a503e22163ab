"""The endpoint on a bad line: a proxy whose answers come byte by byte, each in time and none of them whole.

Such an answer never meets a client's timeout, which is between two pieces of it.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.waiting import PATIENCE_S

#: Between two bytes.  Far below any timeout.
PAUSE_S = 0.02

#: Then it hangs up, so that who waits for the end of it fails, and is not stuck.
LONGEST_S = 30.0


def nothing(operation: str) -> bool:
    """What drips on a good line."""
    return False


class Line:
    """Which operations' answers drip, and how many are dripping right now."""

    def __init__(self, endpoint_url: str) -> None:
        self.url = ""
        self.drips: Callable[[str], bool] = nothing
        self.dripping = 0
        self._endpoint = endpoint_url.removeprefix("http://")
        self._lock = threading.Lock()
        self._over = threading.Event()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Pass a request on, and its answer back."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        connection = http.client.HTTPConnection(self._endpoint, timeout=PATIENCE_S)
        connection.request("POST", request.path, body, dict(request.headers))
        answered = connection.getresponse()
        content = answered.read()
        connection.close()
        request.send_response(answered.status)
        request.send_header("Content-Type", answered.headers["Content-Type"])
        if not self.drips(request.headers["X-Amz-Target"].rpartition(".")[2]):
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
            return
        request.send_header("Content-Length", str(1_000_000))
        request.end_headers()
        request.close_connection = True
        with self._counted():
            for _ in range(round(LONGEST_S / PAUSE_S)):
                if self._over.wait(PAUSE_S):
                    return
                request.wfile.write(b" ")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self.dripping += 1
        try:
            yield
        finally:
            with self._lock:
                self.dripping -= 1

    def end(self) -> None:
        """Hang up on everybody who still waits."""
        self._over.set()


@contextmanager
def line(endpoint_url: str) -> Iterator[Line]:
    """A bad line to an endpoint, on a free port, until the block ends."""
    line = Line(endpoint_url)

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.close_connection = False
            line.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        server.daemon_threads = True
        line.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield line
        finally:
            line.end()
            server.shutdown()
            serving.join()
