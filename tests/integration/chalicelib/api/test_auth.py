"""Tokens through the API: which answers need one, and what is said and logged about who asks."""

import json
import os
import re
from urllib.parse import quote

import boto3
import pytest
from chalice.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chalicelib.settings
from chalicelib import wiring
from chalicelib.api import auth, responses
from chalicelib.errors import NotAllowedError, NotAuthenticatedError
from chalicelib.telemetry import logs
from tests.support import tokens
from tests.support.api_client import keep
from tests.support.headings import says
from tests.support.lambda_events import wire
from tests.support.tokens import bearer
from tests.support.waiting import eventually


@pytest.fixture
def guarded(client: Client) -> Client:
    """The API of a stage that asks for tokens."""
    del os.environ["LIFECYCLE_OPEN"]
    return client


@pytest.fixture
def portal(guarded: Client) -> str:
    """The only token that this test's stage takes."""
    return tokens.make("dealer-portal")


PRODUCT_DATA = ("/products/{serial}", "/products/{serial}/events")


def test_product_data_needs_a_token_and_nothing_else_does(client: Client, portal: str) -> None:
    from app import app

    home = client.http.get("/").body.decode()
    asset = re.search(r'assets/([^"]+)"', home)
    assert asset is not None

    for route in app.routes:
        if "GET" not in app.routes[route]:
            continue
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
        for header in (f"Bearer {portal}", f"bearer  {portal}"):
            answer = client.http.get(path, headers={"Authorization": header})
            assert answer.status_code == 404  # nothing is known of this product, and the caller may know that


def test_that_everybody_may_ask_is_said_once_in_the_log_and_to_no_caller(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.open_to_everybody.cache_clear()  # as in a process that has just started

    answers = [client.http.get("/products/SN-1") for _ in range(3)]

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (warning,) = [line for line in lines if line["level"] == "WARNING"]
    assert warning["message"].startswith("everybody may read every product's history and report events: LIFE")
    assert not [answer for answer in answers if b"LIFECYCLE" in answer.body or "OPEN" in str(answer.headers)]


def test_where_tokens_are_asked_for_nobody_is_told_otherwise(
    client: Client, portal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.open_to_everybody.cache_clear()

    client.http.get("/products/SN-1", headers={"Authorization": f"Bearer {portal}"})

    assert "LIFECYCLE_OPEN" not in capsys.readouterr().out


def test_a_wrong_token_is_forbidden(client: Client, portal: str) -> None:
    for path in ("/products/SN-1", "/products/SN-1/events"):
        for wrong in (f"{portal}x", auth.new_token(), "x"):
            refused = client.http.get(path, headers={"Authorization": f"Bearer {wrong}"})
            assert refused.status_code == 403
            assert refused.json_body == {"Code": "ForbiddenError", "Message": "this token is not valid here"}
            assert says("this token is not valid here", refused.json_body["Message"])


@given(text=st.text(st.characters(exclude_categories=["Z", "Cc"]), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_text_is_refused(portal: str, text: str) -> None:
    with pytest.raises((NotAllowedError, NotAuthenticatedError)):
        auth.check(bearer(text), auth.READ, wiring.tokens())


def test_an_expired_token_is_refused_by_name(guarded: Client) -> None:
    token = tokens.make("audit", expires_at=1801353600)

    assert auth.check(bearer(token), auth.READ, wiring.tokens(), now=1801353599.9).name == "audit"
    with pytest.raises(NotAllowedError, match="audit has expired"):
        auth.check(bearer(token), auth.READ, wiring.tokens(), now=1801353600)


def test_a_token_reaches_no_further_than_its_scopes(guarded: Client) -> None:
    reporter = tokens.make("reporter", scopes=(auth.WRITE, auth.REPORTS))

    refused = guarded.http.get("/products/SN-1", headers=bearer(reporter))

    assert (refused.status_code, refused.json_body["Message"]) == (403, "the token reporter may not read")
    assert auth.check(bearer(reporter), auth.WRITE, wiring.tokens()).name == "reporter"


@pytest.mark.parametrize("path", ["/products/{}", "/products/{}/events"])
def test_a_token_with_prefixes_reads_the_products_that_begin_so(guarded: Client, path: str) -> None:
    keep(guarded, wire("SN-17"), wire("SN-2"), wire("gs1:01:4", "note"))
    dealer = tokens.make("dealer", prefixes=("SN-1", "gs1:01:"))

    def status(serial: str) -> int:
        return guarded.http.get(path.format(quote(serial)), headers=bearer(dealer)).status_code

    assert [status(serial) for serial in ("SN-17", "gs1:01:4", "SN-2", "SN-1%", "sn-17")] == [
        200,
        200,
        403,
        400,
        403,
    ]
    refused = guarded.http.get(path.format("SN-2"), headers=bearer(dealer)).json_body["Message"]
    assert refused == (
        "the token dealer does not reach this product, only serials that begin with SN-1 or gs1:01:"
    )
    assert says("the token … does not reach this product", refused)


def test_where_the_table_does_not_answer_nobody_gets_an_answer(
    client: Client, portal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("dynamodb").delete_table(TableName=chalicelib.settings.access_table())

    answer = client.http.get("/products/SN-1", headers=bearer(portal))

    assert answer.status_code == 503
    assert says("tokens cannot be checked just now", answer.json_body["Message"])
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "ResourceNotFoundException" in line["because"]


def test_a_setting_that_opens_another_stage_opens_nothing_and_the_log_says_why(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ["LIFECYCLE_STAGE"] = "dev"

    answer = client.http.get("/products/SN-1")

    assert answer.status_code == 500
    assert answer.json_body["Message"].endswith("its log says what is wrong")
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["because"].startswith("LIFECYCLE_OPEN: yes is for the stage local only, this is dev")
    assert says("LIFECYCLE_OPEN: yes is for", line["because"])


def test_the_day_of_a_tokens_last_use_is_noted(client: Client, portal: str) -> None:
    client.http.get("/products/SN-1", headers=bearer(portal))

    assert eventually(
        lambda: re.fullmatch(r"\d{4}-\d\d-\d\d", next(tokens.access().tokens()).last_seen or "") is not None
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
