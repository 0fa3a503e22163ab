"""Translates DynamoDB's errors into ours, and retries a call until a deadline."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.parsers import ResponseParserError

from chalicelib.deadline import Deadline
from chalicelib.errors import (
    THROTTLING_CODES,
    RefusedItemError,
    StorageError,
    ThrottledError,
    UnavailableError,
)


def patiently(call: Callable[[], object], deadline: Deadline) -> bool:
    """Make a call until it succeeds or the deadline passes; whether it succeeded."""
    for _ in deadline.attempts():
        try:
            with translated():
                call()
        except StorageError:
            continue
        return True
    return False


@contextmanager
def translated() -> Iterator[None]:
    """Turn botocore's errors into ours.

    RefusedItemError: DynamoDB refuses the item for what it is.  ThrottledError: too fast.
    UnavailableError: everything else that is not the item's fault, a wrong table included, and an answer
    that somebody on the way has put in DynamoDB's place.
    Anything that is neither (a parameter of the wrong type, say) is a bug and passes unchanged.
    """
    try:
        yield
    except ClientError as exc:
        raise _as_ours(exc) from exc
    except (ConnectionError, HTTPClientError, NoCredentialsError, CredentialRetrievalError) as exc:
        raise UnavailableError(f"DynamoDB did not answer: {exc}") from exc
    except (msgspec.DecodeError, ResponseParserError) as exc:
        raise UnavailableError(f"DynamoDB's answer is none of its own: {exc}") from exc


def _as_ours(exc: ClientError) -> StorageError | RefusedItemError:
    code = exc.response["Error"]["Code"]
    message = exc.response["Error"].get("Message", "")
    said = f"DynamoDB said {code}: {message}"
    if code in THROTTLING_CODES:
        return ThrottledError(said)
    if code == "ValidationException" and not _is_about_the_table(message):
        return RefusedItemError("refused", said)
    return UnavailableError(said)


def _is_about_the_table(message: str) -> bool:
    """Whether a ValidationException complains of the table's keys.

    A table with other keys than ours refuses every item; taking that for the items' fault would empty
    the stream into quarantine.
    """
    return "key element" in message or "Missing the key" in message or "Type mismatch for key" in message
