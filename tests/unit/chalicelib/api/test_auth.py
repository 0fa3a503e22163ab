"""Who may ask: tokens, their entries in the configuration, and what a request with or without one gets."""

import os
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api import auth
from chalicelib.errors import ConfigurationError, NotAllowedError, NotAuthenticatedError


@pytest.fixture
def portal() -> str:
    """The token of `dealer-portal`, the only one configured."""
    token, entry = auth.create("dealer-portal")
    os.environ["LIFECYCLE_TOKENS"] = entry
    return token


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_valid_token_is_known_by_its_name(portal: str) -> None:
    assert auth.check(bearer(portal)) == "dealer-portal"
    assert auth.check({"authorization": f"bearer  {portal}"}) == "dealer-portal"


def test_without_a_token_a_request_is_not_authenticated(portal: str) -> None:
    for headers in (
        {},
        {"authorization": portal},
        {"authorization": f"Basic {portal}"},
        {"authorization": "Bearer "},
    ):
        with pytest.raises(NotAuthenticatedError, match="Bearer"):
            auth.check(headers)


@given(text=st.text(st.characters(exclude_categories=["Z", "Cc"]), min_size=1))
def test_any_other_token_is_refused(text: str) -> None:
    os.environ["LIFECYCLE_TOKENS"] = auth.create("somebody")[1]

    with pytest.raises((NotAllowedError, NotAuthenticatedError)):
        auth.check(bearer(text))


def test_two_tokens_are_valid_at_once_so_that_one_can_replace_the_other() -> None:
    old, old_entry = auth.create("portal")
    new, new_entry = auth.create("portal")
    os.environ["LIFECYCLE_TOKENS"] = f"{old_entry}, {new_entry}"

    assert auth.check(bearer(old)) == auth.check(bearer(new)) == "portal"

    os.environ["LIFECYCLE_TOKENS"] = new_entry
    assert auth.check(bearer(new)) == "portal"
    with pytest.raises(NotAllowedError):
        auth.check(bearer(old))


@pytest.mark.parametrize(
    ("expires", "until"),
    [
        ("2027-01-31", 1801353600),
        ("2027-01-31T12:00:00Z", 1801396800),
        ("2027-01-31T12:00:00+02:00", 1801389600),
    ],
)
def test_an_expired_token_is_refused_by_name(expires: str, until: int) -> None:
    token, os.environ["LIFECYCLE_TOKENS"] = auth.create("audit", expires=expires)

    assert auth.check(bearer(token), now=until - 0.001) == "audit"
    with pytest.raises(NotAllowedError, match="audit has expired"):
        auth.check(bearer(token), now=until)


def test_a_token_reaches_no_further_than_its_scope(portal: str) -> None:
    with pytest.raises(NotAllowedError, match="dealer-portal may not write"):
        auth.check(bearer(portal), scope="write")


def test_a_stage_without_tokens_refuses_everything() -> None:
    with pytest.raises(NotAuthenticatedError):
        auth.check({})
    with pytest.raises(NotAllowedError):
        auth.check(bearer(auth.create("anybody-else")[0]))


def test_an_open_stage_takes_everybody_until_it_has_tokens(portal: str) -> None:
    os.environ["LIFECYCLE_OPEN"] = "yes"
    with pytest.raises(NotAuthenticatedError):
        auth.check({})

    del os.environ["LIFECYCLE_TOKENS"]
    assert auth.check({}) == auth.ANYBODY
    assert auth.check(bearer("whatever")) == auth.ANYBODY


@pytest.mark.parametrize("leftover", [",", " , ", "\n"])
def test_a_list_of_tokens_that_lost_its_entries_opens_nothing(leftover: str) -> None:
    os.environ["LIFECYCLE_OPEN"] = "yes"
    os.environ["LIFECYCLE_TOKENS"] = leftover

    with pytest.raises(NotAuthenticatedError):
        auth.check({})
    with pytest.raises(NotAllowedError):
        auth.check(bearer("whatever"))


def test_open_is_never_a_guess() -> None:
    os.environ["LIFECYCLE_OPEN"] = "true"

    with pytest.raises(ConfigurationError, match="LIFECYCLE_OPEN: expected yes or no, got 'true'"):
        auth.check({})


def test_the_configuration_holds_a_digest_and_never_a_token() -> None:
    token, entry = auth.create("portal", expires="2027-01-31")

    assert token not in entry
    assert entry == f"portal:read:{sha256(token.encode()).hexdigest()}:2027-01-31"


def test_tokens_have_256_bits_and_never_repeat() -> None:
    tokens = {auth.create("portal")[0] for _ in range(100)}

    assert len(tokens) == 100
    assert all(token.startswith("lch_") and len(token) == 4 + 43 for token in tokens)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("portal", r"entry 1: expected name:scope:digest"),
        (f"Portal:read:{'0' * 64}", r"entry 1: a name is"),
        (f"ok:read:{'0' * 64},portal:write:{'0' * 64}", r"entry 2 \(portal\): expected the scope read"),
        (f"portal:read:{'0' * 63}", r"entry 1 \(portal\): a digest is 64"),
        (f"portal:read:{'0' * 64}:soon", r"entry 1 \(portal\): expected an expiry such as .*, got 'soon'"),
        (f"portal:read:{'0' * 64}:2027-01-31T12:00:00", r"expected an expiry"),
    ],
)
def test_an_unusable_entry_is_named_without_showing_its_digest(setting: str, says: str) -> None:
    os.environ["LIFECYCLE_TOKENS"] = setting

    with pytest.raises(ConfigurationError, match=says) as refused:
        auth.check({})
    assert "000000" not in str(refused.value)
