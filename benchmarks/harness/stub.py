"""A DynamoDB that answers at once, or after a set latency, from a process of its own.

What remains of a contender's time is then its own.  The stub accepts everything, checks nothing and costs
about 30 µs a request; the latency is a sleep of the connection's own thread.  What was asked is kept as
bytes and weighed only when somebody wants to know, after the clock has stopped.  A Query finds its page by
the sort key, as DynamoDB does, so that its time does not grow with the history (the embedded endpoint's
does: it goes through all of a product's items at each Query):

    POST /            BatchWriteItem, PutItem, GetItem and Query of one serial, whole or BETWEEN two sort
                      keys, in DynamoDB's JSON; any token
                      is one that may read and write
    POST /reset       forget all of it
    POST /counts      {"requests": 800, "items": 20000, "write_units": 20000}

    python -m benchmarks.harness.stub --latency-ms 5        prints its URL, ends when its standard input does
"""

import argparse
import math
import socket
import socketserver
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

#: A write unit is a started KB (DynamoDB developer guide, "Read and write operations").
_WRITE_UNIT_BYTES = 1024

#: A Query stops here (DynamoDB API reference, "Query").
_PAGE_BYTES = 1024 * 1024


class _Text(msgspec.Struct):
    S: str


class _Serial(msgspec.Struct):
    serial: _Text


class _Put(msgspec.Struct):
    Item: msgspec.Raw


class _Key(msgspec.Struct):
    serial: _Text | None = None
    digest: _Text | None = None


class _Get(msgspec.Struct):
    Key: _Key


class _Stored(NamedTuple):
    position: str
    item: bytes


#: What the access table knows of any token.
_TOKEN = (
    b'{"Item":{"digest":{"S":"%s"},"name":{"S":"bench"},"scopes":{"SS":["read","write"]},'
    b'"created_at":{"N":"1767225600"}}}'
)

_put = msgspec.json.Decoder(_Put).decode
_get = msgspec.json.Decoder(_Get).decode
_serial = msgspec.json.Decoder(_Serial).decode


class Stub(socketserver.ThreadingTCPServer):
    """The server: one thread a connection, as many connections as a contender opens."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, latency_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.latency_s = latency_s
        self.reset()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reset(self) -> None:
        """Forget everything."""
        self._asked: list[tuple[bytes, bytes]] = []
        self._histories: dict[str, list[_Stored]] | None = None  # by serial, in order; made for a Query
        self._newest: dict[str, msgspec.Raw] = {}  # by serial, for a contender that reads before it writes

    def answer(self, operation: bytes, body: bytes) -> bytes:
        """What DynamoDB would say if nothing were ever wrong.  `operation` is in lower case."""
        self._asked.append((operation, body))
        if operation == b"putitem":
            item = _put(body).Item
            self._newest[_serial(item).serial.S] = item
        elif operation == b"getitem":
            key = _get(body).Key
            if key.digest is not None:
                return _TOKEN % key.digest.S.encode()
            assert key.serial is not None, "the only other key"
            found = self._newest.get(key.serial.S)
            return b"{}" if found is None else b'{"Item":%s}' % bytes(found)
        elif operation == b"batchwriteitem":
            return b'{"UnprocessedItems":{}}'
        elif operation == b"query":
            return self._page(msgspec.json.decode(body))
        return b"{}"

    def _page(self, query: dict[str, Any]) -> bytes:
        """One page of one serial's items, found in the order of their sort key, as DynamoDB finds it."""
        histories = self._histories
        if histories is None:
            histories = self._histories = {}
            for operation, body in self._asked:
                for item in _written(operation, body):
                    stored = _Stored(item["position"]["S"], msgspec.json.encode(item))
                    histories.setdefault(item["serial"]["S"], []).append(stored)
            for history in histories.values():
                history.sort()
        values = dict(query["ExpressionAttributeValues"])
        serial = values.pop(":serial")
        history = histories.get(serial["S"], [])
        first, end = 0, len(history)
        if values:  # the sort key lies between two others
            low, high = sorted(value["S"] for value in values.values())
            first, end = bisect_left(history, (low, b"")), bisect_right(history, (high, b"~"))
        behind = query.get("ExclusiveStartKey", {}).get("position", {}).get("S")
        if query.get("ScanIndexForward", True):
            begin = first if behind is None else bisect_right(history, (behind, b"~"))
            following = range(begin, end)
        else:
            last = end if behind is None else bisect_left(history, (behind, b""))
            following = range(last - 1, first - 1, -1)
        page: list[_Stored] = []
        size = 0
        for index in following:
            page.append(history[index])
            size += len(history[index].item)
            if len(page) == query.get("Limit") or size >= _PAGE_BYTES:
                break
        more = b""
        if len(page) < len(following):
            key = {"serial": serial, "position": {"S": page[-1].position}}
            more = b',"LastEvaluatedKey":' + msgspec.json.encode(key)
        items = b",".join([stored.item for stored in page])
        return b'{"Items":[%s],"Count":%d,"ScannedCount":%d%s}' % (items, len(page), len(page), more)

    def counts(self) -> dict[str, int]:
        """Requests, items and write units since the last reset."""
        sizes = [item_bytes(item) for operation, body in self._asked for item in _written(operation, body)]
        return {
            "requests": len(self._asked),
            "items": len(sizes),
            "write_units": sum(math.ceil(size / _WRITE_UNIT_BYTES) for size in sizes),
        }


class _Connection(socketserver.BaseRequestHandler):
    """HTTP/1.1 with keep-alive, as much of it as botocore speaks."""

    server: Stub

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pending = b""
        while True:
            while (end := pending.find(b"\r\n\r\n")) < 0:
                if not (chunk := self.request.recv(1 << 16)):
                    return
                pending += chunk
            head, body = pending[:end].lower(), bytearray(pending[end + 4 :])
            length = int(_header(head, b"content-length") or 0)
            while len(body) < length:
                if not (chunk := self.request.recv(1 << 20)):
                    return
                body += chunk
            pending = bytes(body[length:])
            answer = self._answer(head, bytes(body[:length]))
            self.request.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: %d\r\n\r\n%s"
                % (len(answer), answer)
            )

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"post /reset"):
            self.server.reset()
            return b"{}"
        if head.startswith(b"post /counts"):
            return msgspec.json.encode(self.server.counts())
        answer = self.server.answer(_header(head, b"x-amz-target").rpartition(b".")[2], body)
        if self.server.latency_s:
            time.sleep(self.server.latency_s)
        return answer


def item_bytes(item: dict[str, Any]) -> int:
    """The size of an item in DynamoDB's JSON, as DynamoDB bills it ("Item sizes and formats")."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode())
    if kind == "N":
        return (len(held.lstrip("-").replace(".", "")) + 1) // 2 + 1
    if kind == "M":
        return 3 + sum(len(name.encode()) + _value_bytes(each) + 1 for name, each in held.items())
    if kind == "L":
        return 3 + sum(_value_bytes(each) + 1 for each in held)
    return 1  # BOOL, NULL; nobody here writes the others


def _written(operation: bytes, body: bytes) -> Iterator[dict[str, Any]]:
    if operation == b"putitem":
        yield msgspec.json.decode(body)["Item"]
    elif operation == b"batchwriteitem":
        for requests in msgspec.json.decode(body)["RequestItems"].values():
            yield from (request["PutRequest"]["Item"] for request in requests)


def _header(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n%s:" % name)[2].partition(b"\r\n")[0].strip()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.stub", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--latency-ms", type=float, default=0.0)
    with Stub(parser.parse_args().latency_ms / 1000) as stub:
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        print(stub.url, flush=True)
        sys.stdin.read()
        stub.shutdown()


if __name__ == "__main__":
    main()
