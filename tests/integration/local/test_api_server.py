"""Compression over real HTTP, where the local server stands for API Gateway."""

import gzip
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from cli.paths import ROOT
from tests.support import api_process


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api_process.api(tmp_path_factory.mktemp("api") / "log", {"LIFECYCLE_OPEN": "yes"}) as running:
        yield running


def answer(url: str, path: str, accept_encoding: str) -> tuple[requests.Response, bytes]:
    with requests.get(
        url + path, headers={"Accept-Encoding": accept_encoding}, stream=True, timeout=10
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
            url + "/openapi.json", headers={"If-None-Match": tag, "Accept-Encoding": accepts}, timeout=10
        )
        assert (again.status_code, again.content) == (304, b"")


def test_an_answer_to_head_has_no_body_that_the_next_answer_would_begin_with(url: str) -> None:
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port or 80), timeout=10) as connection:
        connection.sendall(b"HEAD /nothing/here HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as answered:
            head, _, body = answered.read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 404 ")
    assert body == b""
