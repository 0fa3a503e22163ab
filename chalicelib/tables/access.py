"""The access table: who may ask the API and send to it.

The only module that reads and writes it.  An item is what is known of a token, under the SHA-256 of the
token: 256 random bits, so that their digest neither tells the token nor can be guessed, and is found by one
GetItem whose time depends on no secret.

    digest (S, partition key)   name (S)   scopes (SS)   prefixes (SS, absent: every product)
    created_at (N)   expires_at (N, absent: never)   last_seen (S, a day in UTC, absent: not yet)
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.errors import AccessUnavailableError, RefusedItemError, StorageError
from chalicelib.tables.errors import translated
from chalicelib.tables.token import Token

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class Access:
    """The access table behind a low-level DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def find(self, digest: str) -> Token | None:
        """Return the token with this digest, None where there is none (any more).

        Raises AccessUnavailableError when the table does not answer.
        """
        try:
            with translated():
                answer = self._client.get_item(
                    TableName=self._table, Key={"digest": {"S": digest}}, ConsistentRead=True
                )
        except (StorageError, RefusedItemError) as exc:
            raise AccessUnavailableError(str(exc)) from exc
        return _token(answer["Item"]) if "Item" in answer else None

    def add(self, token: Token) -> bool:
        """Add a token; False, and nothing has changed, when its digest is there already."""
        return _has_met_its_condition(
            lambda: self._client.put_item(
                TableName=self._table,
                Item=_item(token),
                ConditionExpression="attribute_not_exists(digest)",
            )
        )

    def remove(self, digest: str) -> None:
        """Remove a token; nothing happens when there is none."""
        with translated():
            self._client.delete_item(TableName=self._table, Key={"digest": {"S": digest}})

    def seen(self, digest: str, day: str) -> bool:
        """Note the day on which a token was last used; False when it has been removed meanwhile."""
        return _has_met_its_condition(
            lambda: self._client.update_item(
                TableName=self._table,
                Key={"digest": {"S": digest}},
                UpdateExpression="SET last_seen = :day",
                ConditionExpression="attribute_exists(digest)",  # otherwise it would be made anew
                ExpressionAttributeValues={":day": {"S": day}},
            )
        )

    def tokens(self) -> Iterator[Token]:
        """Yield every token, in no order."""
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        while True:
            with translated():
                answer = self._client.scan(**request)
            yield from map(_token, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _has_met_its_condition(call: Callable[[], object]) -> bool:
    with translated():
        try:
            call()
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
    return True


def _item(token: Token) -> dict[str, Any]:
    item: dict[str, Any] = {
        "digest": {"S": token.digest},
        "name": {"S": token.name},
        "scopes": {"SS": sorted(token.scopes)},
        "created_at": {"N": str(token.created_at)},
    }
    if token.prefixes:
        item["prefixes"] = {"SS": sorted(token.prefixes)}
    if token.expires_at is not None:
        item["expires_at"] = {"N": str(token.expires_at)}
    if token.last_seen is not None:
        item["last_seen"] = {"S": token.last_seen}
    return item


def _token(item: Any) -> Token:
    return Token(
        digest=item["digest"]["S"],
        name=item["name"]["S"],
        scopes=frozenset(item["scopes"]["SS"]),
        prefixes=tuple(sorted(item["prefixes"]["SS"])) if "prefixes" in item else (),
        created_at=int(item["created_at"]["N"]),
        expires_at=int(item["expires_at"]["N"]) if "expires_at" in item else None,
        last_seen=item["last_seen"]["S"] if "last_seen" in item else None,
    )
