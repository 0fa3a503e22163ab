"""The entries of the setting that listed tokens once."""

import pytest

from chalicelib.errors import ConfigurationError
from ops.deploy import token_entries

DIGEST = "0" * 64


def test_every_entry_becomes_a_token_that_may_read() -> None:
    portal, audit = token_entries.parse(f"portal:read:{DIGEST}, audit:read:{'1' * 64}:2027-01-31,\n", 7)

    assert (portal.name, portal.digest, portal.expires_at, portal.created_at) == ("portal", DIGEST, None, 7)
    assert (audit.name, audit.scopes, audit.expires_at) == ("audit", {"read"}, 1801353600)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-31", 1801353600),
        ("2027-01-31T12:00:00Z", 1801396800),
        ("2027-01-31T12:00:00+02:00", 1801389600),
    ],
)
def test_an_expiry_is_a_day_in_utc_or_a_moment(text: str, expected: int) -> None:
    assert token_entries.expiry(text) == expected


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("portal", r"entry 1: expected name:scope:digest"),
        (f"Portal:read:{DIGEST}", r"entry 1: expected a name"),
        (f"ok:read:{DIGEST},portal:write:{DIGEST}", r"entry 2 \(portal\): expected the scope read"),
        (f"portal:read:{DIGEST[1:]}", r"entry 1 \(portal\): a digest is 64"),
        (f"portal:read:{DIGEST}:soon", r"entry 1 \(portal\): expected an expiry such as .*, got 'soon'"),
        (f"portal:read:{DIGEST}:2027-01-31T12:00:00", r"expected an expiry"),
    ],
)
def test_an_unusable_entry_is_named_without_showing_its_digest(setting: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        token_entries.parse(setting, 0)
    assert "000000" not in str(refused.value)
