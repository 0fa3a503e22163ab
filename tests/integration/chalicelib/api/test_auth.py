"""Tokens through the API: which answers need one, and what is said and logged about who asks."""

import json
import os
import re

import pytest
from chalice.test import Client

from chalicelib.api import auth, responses
from chalicelib.telemetry import logs
from tests.support.headings import says


@pytest.fixture
def portal(client: Client) -> str:
    """The only token that this test's stage takes."""
    token, os.environ["LIFECYCLE_TOKENS"] = auth.create("dealer-portal")
    return token


PRODUCT_DATA = ("/products/{serial}", "/products/{serial}/events")


def test_product_data_needs_a_token_and_nothing_else_does(client: Client, portal: str) -> None:
    from app import app

    home = client.http.get("/").body.decode()
    asset = re.search(r'assets/([^"]+)"', home)
    assert asset is not None

    for route in app.routes:
        answer = client.http.get(route.replace("{serial}", "SN-1").replace("{name}", asset[1]))
        if route in PRODUCT_DATA:
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json_body["Code"] == "UnauthorizedError"
            assert says("this needs a token", answer.json_body["Message"])
        else:
            assert answer.status_code == (404 if route == responses.ELSEWHERE else 200), route


def test_with_its_token_a_caller_gets_an_answer(client: Client, portal: str) -> None:
    for path in ("/products/SN-1", "/products/SN-1/events"):
        answer = client.http.get(path, headers={"Authorization": f"Bearer {portal}"})
        assert answer.status_code == 404  # nothing is known of this product, and the caller may know that


def test_that_everybody_may_ask_is_said_once_in_the_log_and_to_no_caller(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.open_to_everybody.cache_clear()  # as in a process that has just started

    answers = [client.http.get("/products/SN-1") for _ in range(3)]

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (warning,) = [line for line in lines if line["level"] == "WARNING"]
    assert warning["message"].startswith("everybody may read every product's history: LIFECYCLE_OPEN is yes")
    assert not [answer for answer in answers if b"LIFECYCLE" in answer.body or "OPEN" in str(answer.headers)]


def test_where_tokens_are_asked_for_nobody_is_told_otherwise(
    client: Client, portal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.open_to_everybody.cache_clear()

    client.http.get("/products/SN-1", headers={"Authorization": f"Bearer {portal}"})

    assert "LIFECYCLE_OPEN" not in capsys.readouterr().out


def test_a_wrong_token_is_forbidden(client: Client, portal: str) -> None:
    for path in ("/products/SN-1", "/products/SN-1/events"):
        refused = client.http.get(path, headers={"Authorization": f"Bearer {portal}x"})
        assert refused.status_code == 403
        assert refused.json_body == {"Code": "ForbiddenError", "Message": "this token is not valid here"}
        assert says("this token is not valid here", refused.json_body["Message"])


def test_tokens_that_cannot_be_read_refuse_everybody_and_the_log_says_why(
    client: Client, portal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ["LIFECYCLE_TOKENS"] += ",portal-two"

    answer = client.http.get("/products/SN-1", headers={"Authorization": f"Bearer {portal}"})

    assert answer.status_code == 500
    assert answer.json_body["Message"].endswith("its log says what is wrong")
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["because"] == (
        "LIFECYCLE_TOKENS, entry 2: expected name:scope:digest or name:scope:digest:expiry"
    )


def test_access_is_logged_by_name_and_never_by_token(
    client: Client, portal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client.http.get("/products/SN-1", headers={"Authorization": f"Bearer {portal}"})
    client.http.get("/products/SN-1", headers={"Authorization": f"Bearer {portal}x"})
    client.http.get("/products/SN-1")

    written = capsys.readouterr().out
    lines = [json.loads(line) for line in written.splitlines()]
    assert [(line["token"], line["status"]) for line in lines] == [
        ("dealer-portal", 404),
        ("", 403),
        ("", 401),
    ]
    assert {line["route"] for line in lines} == {"/products/{serial}"}
    assert {line["serial"] for line in lines} == {"SN-1"}
    assert portal.removeprefix(auth.PREFIX) not in written
