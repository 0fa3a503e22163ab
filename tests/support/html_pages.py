"""The pages as a browser is given them."""

import re

from chalice.test import Client

#: What a browser sends.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


#: What a page refers to.
REFERENCE = re.compile(r'(?:href|src|action)="([^"]*)"')


def page(client: Client, path: str, status: int = 200) -> str:
    """The page at a path, which keeps to a strict Content-Security-Policy."""
    response = client.http.get(path, headers=BROWSER)
    assert response.status_code == status, response.body
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    text: str = response.body.decode()
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), (
        "strict CSP forbids it"
    )
    return text


def titles(text: str) -> list[str]:
    """What the lines of a page are called, in their order."""
    return re.findall(r'<span class="title">([^<]*)</span>', text)
