"""A door in front of the endpoint behind which shards have limits, for producers in whatever process.

    python -m local.emulator.front --upstream URL --port N   N = 0: a free port; its URL is the first line

It passes every request on as it is, but for PutRecord and PutRecords: what a shard would refuse is refused
here, entry by entry, as Kinesis does.  It stands on the wire, so that any program that writes to the stream
meets the limits.  A shortened PutRecords keeps its old signature: endpoints that stand in for AWS check none.
"""

import argparse
import http.client
import re
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cli.exits import EXIT_OK, EXIT_UNAVAILABLE
from local.emulator.shard_limits import Shard, ShardLimits

HOST = "127.0.0.1"
BACKLOG = 128

#: How long a stream's shards are believed: somebody may reshard it behind the door.
SHARDS_FOR_S = 10.0

UPSTREAM_TIMEOUT_S = 60.0

#: The largest request Kinesis takes is 10 MiB of data, in base64 and with keys.
MAX_BODY_BYTES = 32 * 1024 * 1024

_TARGET = "Kinesis_20131202."
_EXCEEDED = "ProvisionedThroughputExceededException"
_CREDENTIAL = re.compile(r"Credential=([^/,]+)/[^/]+/([^/]+)/")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "expect"}


class Entry(msgspec.Struct, omit_defaults=True):
    """One entry of PutRecords; PutRecord's fields are the same."""

    Data: str  # base64
    PartitionKey: str
    ExplicitHashKey: str | None = None

    @property
    def size(self) -> int:
        """Bytes as the limit counts them: data and partition key."""
        return len(self.Data) // 4 * 3 - self.Data[-2:].count("=") + len(self.PartitionKey.encode())


class Put(msgspec.Struct, omit_defaults=True):
    """A PutRecords request."""

    Records: list[Entry]
    StreamName: str | None = None
    StreamARN: str | None = None


class PutOne(Entry, omit_defaults=True):
    """A PutRecord request."""

    StreamName: str | None = None
    StreamARN: str | None = None


class PutAnswer(msgspec.Struct, omit_defaults=True):
    """An answer of PutRecords."""

    FailedRecordCount: int
    Records: list[Any]
    EncryptionType: str | None = None


class _Upstream:
    """Connections to the endpoint that are kept, one for each thread."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        self._local = threading.local()

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body of an answer.  Raises OSError or HTTPException when there is none."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self._netloc, timeout=UPSTREAM_TIMEOUT_S)
            self._local.connection = connection
        try:
            connection.request(method, path, body, {**headers, "Host": self._netloc})
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            raise

    def hang_up(self) -> None:
        """Close this thread's connection."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()


class _Streams:
    """The limits of the streams that somebody has written to."""

    def __init__(self, upstream: _Upstream, clock: Callable[[], float]) -> None:
        self._upstream = upstream
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], tuple[float, ShardLimits]] = {}

    def limits(self, stream: str, headers: dict[str, str]) -> ShardLimits | None:
        """The limits of a stream; None when the endpoint does not know it."""
        signed = _CREDENTIAL.search(headers.get("Authorization", ""))
        key = (stream, *(signed.groups() if signed else ()))  # an account's and a region's own
        with self._lock:
            at, limits = self._known.get(key, (float("-inf"), None))
            if limits is None or self._clock() - at > SHARDS_FOR_S:
                shards = self._shards(stream, headers)
                if not shards:
                    return None
                fresh = ShardLimits(shards, clock=self._clock)
                limits = fresh.carried_over(limits) if limits else fresh
                self._known[key] = (self._clock(), limits)
            return limits

    def _shards(self, stream: str, headers: dict[str, str]) -> list[Shard]:
        asked = {**headers, "X-Amz-Target": f"{_TARGET}ListShards"}
        request: dict[str, str] = {"StreamName": stream}
        shards: list[Shard] = []
        while True:
            status, _, body = self._upstream.ask("POST", "/", asked, msgspec.json.encode(request))
            if status != 200:
                return []
            answer = msgspec.json.decode(body)
            shards += [
                Shard(each["ShardId"], int(each["HashKeyRange"]["StartingHashKey"]))
                for each in answer["Shards"]
                if "EndingSequenceNumber" not in each["SequenceNumberRange"]
            ]
            if not answer.get("NextToken"):
                return shards
            request = {"NextToken": answer["NextToken"]}


class Door:
    """Answers requests with the endpoint's answer, or with what a shard would say."""

    def __init__(self, upstream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = _Upstream(upstream)
        self._streams = _Streams(self._upstream, clock)

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body.  Raises OSError or HTTPException when the endpoint does not answer."""
        operation = headers.get("X-Amz-Target", "").removeprefix(_TARGET)
        is_cbor = "cbor" in headers.get("Content-Type", "")
        if operation in ("PutRecords", "PutRecord") and is_cbor:
            return _error("SerializationException", "the shard limits read JSON requests only, not CBOR")
        try:
            if operation == "PutRecords":
                return self._put_records(path, headers, body)
            if operation == "PutRecord" and (refusal := self._refusal(headers, body)):
                return refusal
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            pass  # not what Kinesis takes: the endpoint says so itself
        return self._upstream.ask(method, path, headers, body)

    def hang_up(self) -> None:
        """The caller whom this thread serves has gone."""
        self._upstream.hang_up()

    def _refusal(
        self, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes] | None:
        put = msgspec.json.decode(body, type=PutOne)
        stream = _stream(put)
        limits = self._streams.limits(stream, headers)
        if limits is None:
            return None
        shard_id = limits.shard_of(put.PartitionKey, put.ExplicitHashKey)
        return None if limits.takes(shard_id, put.size) else _error(_EXCEEDED, _words(shard_id, stream))

    def _put_records(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        put = msgspec.json.decode(body, type=Put)
        stream = _stream(put)
        limits = self._streams.limits(stream, headers)
        if limits is None:
            return self._upstream.ask("POST", path, headers, body)
        results: list[Any] = []
        taken: list[Entry] = []
        for entry in put.Records:
            shard_id = limits.shard_of(entry.PartitionKey, entry.ExplicitHashKey)
            if limits.takes(shard_id, entry.size):
                taken.append(entry)
                results.append(None)
            else:
                results.append({"ErrorCode": _EXCEEDED, "ErrorMessage": _words(shard_id, stream)})
        if len(taken) == len(results):
            return self._upstream.ask("POST", path, headers, body)
        answer = PutAnswer(0, [])
        given = [("Content-Type", "application/x-amz-json-1.1")]
        if taken:
            put.Records = taken
            status, given, answered = self._upstream.ask("POST", path, headers, msgspec.json.encode(put))
            if status != 200:
                return status, given, answered
            answer = msgspec.json.decode(answered, type=PutAnswer)
        answers = iter(answer.Records)
        answer.Records = [next(answers) if result is None else result for result in results]
        answer.FailedRecordCount += len(results) - len(taken)
        return 200, given, msgspec.json.encode(answer)


def server(upstream: str, port: int) -> ThreadingHTTPServer:
    """The door, bound to `port`.  Raises OSError when that is taken."""
    door = Door(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write an answer; http.server flushes it
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            length = self.headers.get("Content-Length", "0")
            if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                return self._say(
                    *_error("SerializationException", "expected a Content-Length up to 32 MiB", 413)
                )
            body = self.rfile.read(int(length))
            # Titled, because the door looks for some of them.
            headers = {
                name.title(): value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP
            }
            try:
                return self._say(*door.answer(self.command, self.path, headers, body))
            except (OSError, http.client.HTTPException) as exc:
                sentence = f"the endpoint at {upstream} does not answer: {exc}"
                return self._say(*_error("ServiceUnavailable", sentence, 503))

        def finish(self) -> None:
            super().finish()
            door.hang_up()

        def _say(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _pass

    class Server(ThreadingHTTPServer):
        request_queue_size = BACKLOG
        daemon_threads = True

    return Server((HOST, port), Handler)


def main() -> int:
    """Serve until stdin ends, which it does when the parent does, or until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator.front", description=__doc__)
    parser.add_argument("--upstream", required=True, metavar="URL", help="the endpoint behind the door")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    args = parser.parse_args()
    try:
        running = server(args.upstream, args.port)
    except OSError as exc:
        print(f"error: port {args.port}: {exc.strerror}; choose another with --port", file=sys.stderr)
        return EXIT_UNAVAILABLE
    print(f"http://{HOST}:{running.server_address[1]}", flush=True)
    if not sys.stdin.isatty():
        threading.Thread(target=_end_with_stdin, args=(running,), daemon=True).start()
    try:
        running.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        running.server_close()
    return EXIT_OK


def _end_with_stdin(running: ThreadingHTTPServer) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    running.shutdown()


def _stream(put: Put | PutOne) -> str:
    return put.StreamName or (put.StreamARN or "").rpartition("/")[2]


def _words(shard_id: str, stream: str) -> str:
    # As Kinesis words it (API reference, PutRecords, example of a partial failure).
    return f"Rate exceeded for shard {shard_id} in stream {stream} under account 000000000000."


def _error(code: str, sentence: str, status: int = 400) -> tuple[int, list[tuple[str, str]], bytes]:
    body = msgspec.json.encode({"__type": code, "message": sentence})
    return status, [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", "door")], body


if __name__ == "__main__":
    sys.exit(main())
