"""Which stage asks nobody for a token, and what a token is made of."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib.api import auth
from chalicelib.errors import ConfigurationError, NotAuthenticatedError
from chalicelib.tables.access import Access
from chalicelib.tables.token_cache import TokenCache


def check(headers: Mapping[str, str]) -> str:
    """The name of who asks, where there is no table to look at."""
    nothing: Any = None
    return auth.check(headers, auth.READ, TokenCache(Access(nothing, "none"))).name


def test_without_a_token_a_request_is_not_authenticated() -> None:
    for headers in (
        {},
        {"authorization": "lch_x"},
        {"authorization": "Basic lch_x"},
        {"authorization": "Bearer "},
    ):
        with pytest.raises(NotAuthenticatedError, match="Bearer"):
            check(headers)


def test_an_open_laptop_takes_everybody() -> None:
    os.environ["LIFECYCLE_OPEN"] = "yes"

    assert check({}) == "anybody"
    assert check({"authorization": "whatever"}) == "anybody"


@pytest.mark.parametrize("stage", ["dev", "prod", "local2"])
def test_no_other_stage_can_be_opened(stage: str) -> None:
    os.environ["LIFECYCLE_OPEN"] = "yes"
    os.environ["LIFECYCLE_STAGE"] = stage

    with pytest.raises(ConfigurationError, match=f"yes is for the stage local only, this is {stage}"):
        check({})


def test_open_is_never_a_guess() -> None:
    os.environ["LIFECYCLE_OPEN"] = "true"

    with pytest.raises(ConfigurationError, match="LIFECYCLE_OPEN: expected yes or no, got 'true'"):
        check({})


def test_tokens_have_256_bits_and_never_repeat() -> None:
    tokens = {auth.new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(token.startswith("lch_") and len(token) == 4 + 43 for token in tokens)
