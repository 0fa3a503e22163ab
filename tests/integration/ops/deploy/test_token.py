"""`ops token`: tokens made, listed, revoked and taken over, and what the API then says to their callers."""

import os
from hashlib import sha256

import pytest
from chalice.test import Client

from chalicelib import wiring
from cli import stage as stages
from tests.support.headings import says
from tests.support.operators import Operator
from tests.support.tokens import bearer


def status(client: Client, token: str) -> int:
    """What a process that has just started answers."""
    wiring.reset()
    del os.environ["LIFECYCLE_OPEN"]  # the command has filled in what .chalice/config.json says
    return client.http.get("/products/SN-1", headers=bearer(token)).status_code


def test_a_token_is_shown_once_and_works_until_it_is_revoked(client: Client, ops: Operator) -> None:
    made = ops("token", "create", "--name", "portal")
    secret = made.out.strip()
    assert status(client, secret) == 404  # not 403: nothing is known of this product

    (shown,) = ops("token", "list", "--json").json
    assert shown.pop("digest") == sha256(secret.encode()).hexdigest()
    assert shown.pop("created_at").endswith("Z")
    shown.pop("last_seen")
    assert shown == {"name": "portal", "scopes": ["read"], "prefixes": [], "expires_at": None}
    assert secret not in ops("token", "list").out

    dry = ops("token", "revoke", "--name", "portal", "--dry-run")
    assert (dry.code, dry.err) == (0, "1 token of portal would be revoked\n")
    assert status(client, secret) == 404
    assert ops("token", "revoke", "--name", "portal").err.startswith("1 token of portal revoked")
    assert status(client, secret) == 403
    again = ops("token", "revoke", "--name", "portal")
    assert again.code == 1
    assert says("there is no token …", again.err)


def test_a_token_is_made_with_scopes_prefixes_and_an_expiry(client: Client, ops: Operator) -> None:
    options = "--scope write --scope read --prefix SN-2 --prefix SN-1 --prefix SN-2 --expires 2027-12-31"

    (made,) = ops("token", "create", "--name", "dealer", *options.split(), "--json").json

    assert (made["scopes"], made["prefixes"]) == (["read", "write"], ["SN-1", "SN-2"])
    assert made["expires_at"].startswith("2027-12-31T00:00:00")
    row = ops("token", "list").out.splitlines()[1]
    assert row.startswith("dealer")
    assert "read, write" in row
    assert "SN-1…, SN-2…" in row
    assert "never" in row


def test_a_name_is_used_once_so_that_two_tokens_can_be_told_apart(client: Client, ops: Operator) -> None:
    ops("token", "create", "--name", "dealer")

    refused = ops("token", "create", "--name", "dealer")

    assert (refused.code, refused.out) == (1, "")
    assert says("there is a token … already", refused.err)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--name", "Dealer"], "expected a name, 1 to 64 of a-z 0-9"),
        (["--name", "d", "--expires", "soon"], "expected an expiry such as 2027-01-31"),
        (["--name", "d", "--prefix", "#"], "expected the beginning of a serial"),
        (["--name", "d", "--scope", "admin"], "invalid choice: 'admin'"),
    ],
)
def test_options_that_cannot_be_are_refused(
    ops: Operator, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    with pytest.raises(SystemExit):
        ops("token", "create", *options)
    assert says in capsys.readouterr().err


def test_entries_of_the_former_setting_are_taken_over_and_work(
    client: Client, ops: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "lch_" + "s" * 43
    entry = f"portal:read:{sha256(secret.encode()).hexdigest()}"
    nothing = ops("token", "import")
    assert nothing.code == 1
    assert says("LIFECYCLE_TOKENS of stage … lists no tokens", nothing.err)

    known = stages.environment("local")
    monkeypatch.setattr(stages, "environment", lambda *_: {**known, "LIFECYCLE_TOKENS": entry})
    taken = ops("token", "import")
    again = ops("token", "import", "--entries", f"{entry},audit:read:{'1' * 64}:2020-01-01", "--json")

    assert taken.err.startswith("1 token added, 0 were there")
    assert [(each["name"], each["added"]) for each in again.json] == [("portal", False), ("audit", True)]
    assert "(over)" in ops("token", "list").out
    assert status(client, secret) == 404
    assert ops("token", "import", "--entries", "portal").code == 2
