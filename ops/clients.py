"""AWS clients for operators, the tables on them, and AWS's errors as sentences with a remedy.

The deployed side's clients are tuned for an invocation's deadline (`chalicelib/wiring.py`); a person can wait
for throttling to pass.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from chalicelib import settings
from chalicelib.errors import ConfigurationError, LifecycleError
from chalicelib.tables.access import Access
from chalicelib.tables.history import History
from chalicelib.tables.quarantine import Quarantine
from cli.exits import EXIT_UNAVAILABLE, EXIT_USAGE
from ops.output import CommandError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient
    from mypy_boto3_kinesis.client import KinesisClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_sqs.client import SQSClient

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=32,
)


def kinesis() -> "KinesisClient":
    """Return the client for the stream."""
    client: KinesisClient = _client("kinesis")
    return client


def sqs() -> "SQSClient":
    """Return the client for the queues."""
    client: SQSClient = _client("sqs")
    return client


def cloudformation() -> "CloudFormationClient":
    """Return the client for the data stack."""
    client: CloudFormationClient = _client("cloudformation")
    return client


def lambda_() -> "LambdaClient":
    """Return the client for functions and their event source mappings."""
    client: LambdaClient = _client("lambda")
    return client


def client(service: str) -> Any:
    """Return a client for a service that is used in few places."""
    return _client(service)


def quarantine() -> Quarantine:
    """Return the stage's quarantine table."""
    return Quarantine(_client("dynamodb"), settings.quarantine_table())


def history() -> History:
    """Return the stage's history table."""
    return History(_client("dynamodb"), settings.history_table())


def access() -> Access:
    """Return the stage's access table."""
    return Access(_client("dynamodb"), settings.access_table())


def remedy(error: BaseException | None = None) -> str:
    """Return what helps against an error; without one, where AWS or its stand-in is out of reach."""
    is_local = bool(os.environ.get("AWS_ENDPOINT_URL"))
    if isinstance(error, NoRegionError):
        return "set AWS_DEFAULT_REGION"
    if isinstance(error, NoCredentialsError):
        if is_local:
            return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a local endpoint takes any"
        return "set AWS_PROFILE, or sign in again"
    if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ValidationError":
        return "mend what it names; the stack's parameters and their values are in infra/resources.yaml"
    if is_local:
        return "start the local pipeline with `make serve`, or name another stage with --stage"
    return "check --stage, and whose account and region these are (AWS_PROFILE, AWS_DEFAULT_REGION)"


@contextmanager
def reported() -> Iterator[None]:
    """Raise CommandError, with a remedy, for what AWS and the settings raise."""
    try:
        yield
    except ConfigurationError as exc:
        raise CommandError(str(exc), EXIT_USAGE) from exc
    except ClientError as exc:
        said = exc.response["Error"]
        what = f"{exc.operation_name} was refused: {said['Code']}: {said.get('Message', '')}"
        raise CommandError(f"{what}; {remedy(exc)}", EXIT_UNAVAILABLE) from exc
    except (BotoCoreError, LifecycleError) as exc:
        # Ours stand for botocore's, which say more about the remedy.
        cause = exc.__cause__ if isinstance(exc, LifecycleError) else exc
        what = str(exc).rstrip(".")
        if _is_missing(cause):
            # DynamoDB does not say which.
            what = (
                f"there is no table {settings.history_table()}, or no {settings.quarantine_table()}, "
                f"or no {settings.access_table()}: {what}"
            )
        raise CommandError(f"{what}; {remedy(cause)}", EXIT_UNAVAILABLE) from exc


def _is_missing(error: BaseException | None) -> bool:
    return (
        isinstance(error, ClientError)
        and error.operation_name
        in ("GetItem", "Query", "Scan", "PutItem", "UpdateItem", "BatchWriteItem", "DeleteItem")
        and error.response["Error"]["Code"] == "ResourceNotFoundException"
    )


@cache
def _client(service: str) -> Any:
    try:
        return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]  # callers name the type
    except ValueError as exc:  # AWS_ENDPOINT_URL is no URL
        raise ConfigurationError(f"{exc}; check AWS_ENDPOINT_URL") from exc


def reset() -> None:
    """Forget the clients, in a process whose environment has changed."""
    _client.cache_clear()
