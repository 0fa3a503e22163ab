"""Tokens as a process remembers them: for a minute, in bounded memory, at the least cost to the table."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from chalicelib import settings
from chalicelib.errors import AccessUnavailableError
from chalicelib.tables import token_cache
from chalicelib.tables.access import Access
from chalicelib.tables.token import Token
from chalicelib.tables.token_cache import TokenCache

PORTAL = Token(
    digest="a" * 64,
    name="portal",
    scopes=frozenset({"read", "write"}),
    prefixes=("SN-1", "SN-2"),
    created_at=1,
    expires_at=9,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """A client that counts its calls on the wire."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb")
        self.calls: Counter[str] = Counter()
        self.client.meta.events.register("before-send.dynamodb", self._count)

    def _count(self, request: Any, **_: Any) -> None:
        self.calls[request.headers["X-Amz-Target"].decode().partition(".")[2]] += 1


def run(call: Callable[[], None]) -> None:
    call()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted(stage: str) -> Counted:
    return Counted()


@pytest.fixture
def access(counted: Counted) -> Access:
    return Access(counted.client, settings.access_table())


@pytest.fixture
def cache(access: Access, clock: Clock) -> TokenCache:
    return TokenCache(access, clock=clock, run=run)


def test_a_token_comes_out_of_the_table_as_it_went_in(access: Access) -> None:
    plain = Token(digest="b" * 64, name="b", scopes=frozenset({"read"}), created_at=2, last_seen="2026-11-27")

    assert access.add(PORTAL)
    assert access.add(plain)
    assert not access.add(Token(digest=PORTAL.digest, name="other", scopes=plain.scopes, created_at=3))

    assert access.find(PORTAL.digest) == PORTAL
    assert sorted(access.tokens(), key=lambda token: token.name) == [plain, PORTAL]
    access.remove(PORTAL.digest)
    access.remove(PORTAL.digest)
    assert list(access.tokens()) == [plain]


def test_a_revoked_token_is_known_for_a_minute_and_no_longer(
    cache: TokenCache, access: Access, clock: Clock
) -> None:
    access.add(PORTAL)
    assert cache.find(PORTAL.digest) == PORTAL
    access.remove(PORTAL.digest)

    clock.now += 59.9
    assert cache.find(PORTAL.digest) == PORTAL
    clock.now += 0.1
    assert cache.find(PORTAL.digest) is None


def test_a_new_token_is_known_after_a_minute_also_where_it_was_tried_before(
    cache: TokenCache, access: Access, clock: Clock
) -> None:
    assert cache.find(PORTAL.digest) is None
    access.add(PORTAL)

    assert cache.find(PORTAL.digest) is None
    clock.now += 60
    assert cache.find(PORTAL.digest) == PORTAL


def test_a_token_costs_the_table_one_read_a_minute_known_or_not(
    cache: TokenCache, access: Access, clock: Clock, counted: Counted
) -> None:
    access.add(PORTAL)
    for _ in range(3):
        for _ in range(50):
            cache.find(PORTAL.digest)
            cache.find("f" * 64)
        clock.now += 60

    assert counted.calls["GetItem"] == 2 * 3


def test_a_flood_of_wrong_tokens_displaces_no_right_one_and_takes_bounded_memory(
    cache: TokenCache, access: Access, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_cache, "MAX_UNKNOWN", 20)
    access.add(PORTAL)
    cache.find(PORTAL.digest)

    for number in range(50):
        assert cache.find(f"{number:064x}") is None
    assert cache.find(PORTAL.digest) == PORTAL
    assert counted.calls["GetItem"] == 51
    for number in range(30, 50):
        cache.find(f"{number:064x}")
    assert counted.calls["GetItem"] == 51
    cache.find(f"{29:064x}")
    assert counted.calls["GetItem"] == 52


def test_many_right_tokens_take_bounded_memory_too(
    cache: TokenCache, access: Access, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_cache, "MAX_KNOWN", 2)
    digests = [letter * 64 for letter in "abc"]
    for digest in digests:
        access.add(Token(digest=digest, name=digest[0], scopes=frozenset({"read"}), created_at=1))

    found = [cache.find(digest) for digest in (*digests, digests[0])]

    assert [token and token.name for token in found] == ["a", "b", "c", "a"]
    assert counted.calls["GetItem"] == 4


def test_the_day_is_noted_once_and_a_revoked_token_does_not_come_back_by_it(
    cache: TokenCache, access: Access, counted: Counted
) -> None:
    access.add(PORTAL)
    for _ in range(3):
        cache.seen(PORTAL, "2026-11-27")
    noted = access.find(PORTAL.digest)
    assert noted is not None
    assert noted.last_seen == "2026-11-27"
    cache.seen(noted, "2026-11-27")  # as another process finds it
    assert counted.calls["UpdateItem"] == 1

    access.remove(PORTAL.digest)
    cache.seen(PORTAL, "2026-11-28")
    assert list(access.tokens()) == []


def test_without_the_table_nothing_is_known_and_nothing_is_noted(counted: Counted, clock: Clock) -> None:
    cache = TokenCache(Access(counted.client, "no-such-table"), clock=clock, run=run)

    for _ in range(2):
        with pytest.raises(AccessUnavailableError):
            cache.find(PORTAL.digest)
        cache.seen(PORTAL, "2026-11-27")
    assert counted.calls["UpdateItem"] == 2  # tried again, and no caller hears of it


def test_what_was_known_is_not_trusted_longer_because_the_table_is_away(
    cache: TokenCache, access: Access, clock: Clock, counted: Counted
) -> None:
    access.add(PORTAL)
    cache.find(PORTAL.digest)
    counted.client.delete_table(TableName=settings.access_table())

    clock.now += 59
    assert cache.find(PORTAL.digest) == PORTAL
    clock.now += 1
    with pytest.raises(AccessUnavailableError):
        cache.find(PORTAL.digest)
