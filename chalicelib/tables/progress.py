"""How far triage has come with a dead letter: one item for each, in the quarantine table.

Items have no status, so no list of cases shows them.
"""

from typing import TYPE_CHECKING, Any

from chalicelib.deadline import Deadline
from chalicelib.errors import StorageError
from chalicelib.tables.errors import patiently, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class Progress:
    """Saved texts by id, behind a low-level DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def load(self, id_: str, deadline: Deadline) -> str | None:
        """Return what was saved under `id_`, or None.  Raises StorageError once the deadline has passed."""
        last = StorageError("time ran out before the progress was read")
        for _ in deadline.attempts():
            try:
                with translated():
                    answer = self._client.get_item(TableName=self._table, Key=_key(id_), ConsistentRead=True)
            except StorageError as exc:
                last = exc
                continue
            return answer["Item"]["bookmark"]["S"] if "Item" in answer else None
        raise last

    def save(self, id_: str, text: str, deadline: Deadline) -> bool:
        """Save `text`, trying until the deadline; whether it is there now."""
        item = {**_key(id_), "bookmark": {"S": text}}
        return patiently(lambda: self._client.put_item(TableName=self._table, Item=item), deadline)

    def remove(self, id_: str, deadline: Deadline) -> bool:
        """Remove what was saved, trying until the deadline; whether it is gone now."""
        return patiently(lambda: self._client.delete_item(TableName=self._table, Key=_key(id_)), deadline)


def _key(id_: str) -> dict[str, Any]:
    return {"id": {"S": f"progress/{id_}"}, "part": {"N": "0"}}
