"""API tokens in the access table of the stage in this process's environment."""

import boto3

from chalicelib import settings
from chalicelib.api import auth
from chalicelib.tables.access import Access
from chalicelib.tables.token import Token


def access() -> Access:
    """The table."""
    return Access(boto3.client("dynamodb"), settings.access_table())


def make(
    name: str = "dealer-portal",
    *,
    scopes: tuple[str, ...] = (auth.READ,),
    prefixes: tuple[str, ...] = (),
    expires_at: int | None = None,
    secret: str | None = None,
) -> str:
    """A token that the stage takes; `secret` is it, unless a new one will do."""
    secret = secret or auth.new_token()
    token = Token(
        digest=auth.digest(secret),
        name=name,
        scopes=frozenset(scopes),
        prefixes=prefixes,
        created_at=1_767_225_600,
        expires_at=expires_at,
    )
    assert access().add(token)
    return secret


def bearer(token: str) -> dict[str, str]:
    """The header that a caller sends."""
    return {"authorization": f"Bearer {token}"}
