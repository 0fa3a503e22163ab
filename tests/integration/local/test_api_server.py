"""Compression over real HTTP, where the local server stands for API Gateway."""

import gzip
import socket
import threading
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest
import requests
from chalice.app import Chalice, Response
from chalice.config import Config
from chalice.local import create_local_server

from cli.paths import ROOT
from local import api_server
from tests.support import api_process, names
from tests.support.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("api") / "log", names.open_to_everybody()) as running:
        yield running


@pytest.fixture(scope="module")
def sizes() -> Iterator[str]:
    """An application that answers with as many bytes as it is asked for, on the same server."""
    app = Chalice("sizes")

    @app.route("/{count}/{code}")
    def body(count: str, code: str) -> Response:
        return Response(chr(int(code)) * int(count), {"Content-Type": "text/plain"})

    config = Config.create(chalice_app=app, config_from_disk={"minimum_compression_size": 1000})
    running = create_local_server(app, config, "127.0.0.1", 0)
    running.server.RequestHandlerClass = partial(api_server.Handler, app_object=app, config=config)
    thread = threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{running.server.server_address[1]}"
    running.server.shutdown()
    thread.join()
    running.server.server_close()


@pytest.mark.parametrize(
    ("count", "char", "expected"),
    [
        (6_200_000, "a", 200),
        (6_300_000, "a", 502),
        (3_100_000, '"', 200),
        (3_200_000, '"', 502),
        (1_040_000, "é", 200),
        (1_060_000, "é", 502),
        (530_000, "😀", 502),
    ],
)
def test_an_answer_that_lambda_would_refuse_is_api_gateway_s_502(
    sizes: str, count: int, char: str, expected: int
) -> None:
    response = requests.get(f"{sizes}/{count}/{ord(char)}", timeout=30)

    assert response.status_code == expected
    assert (response.text == '{"message": "Internal server error"}') == (expected == 502)


def answer(url: str, path: str, accept_encoding: str) -> tuple[requests.Response, bytes]:
    with requests.get(
        url + path, headers={"Accept-Encoding": accept_encoding}, stream=True, timeout=PATIENCE_S
    ) as response:
        return response, response.raw.read(decode_content=False)


@pytest.mark.parametrize("accepts", ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.8"])
def test_a_large_answer_is_compressed_for_who_accepts_it(url: str, accepts: str) -> None:
    plain = (ROOT / "chalicelib" / "api" / "openapi.json").read_bytes()

    response, data = answer(url, "/openapi.json", accepts)

    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept, Authorization, Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(data) < len(plain) / 3
    assert gzip.decompress(data) == plain


@pytest.mark.parametrize("accepts", ["", "identity", "br", "gzip;q=0", "gzip;q=0.0, br", "*"])
def test_nobody_else_gets_it_compressed(url: str, accepts: str) -> None:
    response, data = answer(url, "/openapi.json", accepts)

    assert "Content-Encoding" not in response.headers
    assert data.startswith(b"{")


def test_a_small_answer_is_sent_as_it_is(url: str) -> None:
    response, data = answer(url, "/products/-1", "gzip")

    assert response.status_code == 400
    assert "Content-Encoding" not in response.headers
    assert data.startswith(b"{")


def test_a_compressed_answer_is_known_again_by_its_etag(url: str) -> None:
    tag = answer(url, "/openapi.json", "gzip")[0].headers["ETag"]

    for accepts in ("gzip", "identity"):
        again = requests.get(
            url + "/openapi.json",
            headers={"If-None-Match": tag, "Accept-Encoding": accepts},
            timeout=PATIENCE_S,
        )
        assert (again.status_code, again.content) == (304, b"")


def test_an_answer_to_head_has_no_body_that_the_next_answer_would_begin_with(url: str) -> None:
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port or 80), timeout=PATIENCE_S) as connection:
        connection.sendall(b"HEAD /nothing/here HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as answered:
            head, _, body = answered.read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 404 ")
    assert body == b""
