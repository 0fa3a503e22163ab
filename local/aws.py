"""Which AWS endpoint this process talks to, with whose credentials, and clients for it.

The only place in `local` that reads or changes variables about AWS.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionError, HTTPClientError

import cli.stage
from chalicelib import wiring
from local.emulator.process import HOST, Endpoint, EndpointError, at


def given_endpoint() -> Endpoint | None:
    """The endpoint in AWS_ENDPOINT_URL; None when that is not set.

    Raises EndpointError for AWS itself, where `local` has no business.
    """
    url = os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        return None
    host = urlsplit(url).hostname or ""
    if not host or host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        raise EndpointError(
            f"AWS_ENDPOINT_URL: expected an endpoint that stands in for AWS, got {url!r}; unset it to use "
            "the embedded one"
        )
    return at(url)


@contextmanager
def answering(aws: Endpoint) -> Iterator[None]:
    """Raise EndpointError instead of what the block raises because the endpoint is gone or not there."""
    try:
        yield
    except (ConnectionError, HTTPClientError) as exc:
        aws.check()
        if aws.is_ours:
            raise
        raise EndpointError(
            f"no AWS endpoint answers at {aws.url}, where AWS_ENDPOINT_URL says it is; start that one, or "
            "unset the variable to have one started here"
        ) from exc
    except Exception:  # whatever failed: with the endpoint gone, that is the reason to give
        aws.check()
        raise


def environment(stage: str, url: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a stage on the endpoint at `url`, for this process and for the functions.

    `given` is the environment of somebody who brought an endpoint: what it says about AWS (credentials,
    region) holds for that endpoint.  Our own needs none of it, and must not be given anybody's keys.
    """
    own = cli.stage.environment("local")
    # A proxy for the outside world has no way to this machine's loopback.
    for name in ("NO_PROXY", "no_proxy"):
        own[name] = ",".join(filter(None, (os.environ.get(name), HOST)))
    theirs = {name: value for name, value in given.items() if name.startswith("AWS_") or name == "HOME"}
    return {**own, **theirs, "LIFECYCLE_STAGE": stage, "AWS_ENDPOINT_URL": url}


def use(variables: Mapping[str, str]) -> None:
    """Make these the only variables about AWS and the lifecycle history in this process."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "LIFECYCLE_")):
            del os.environ[name]
    os.environ.update(variables)
    wiring.reset()


def client(service: str) -> Any:
    """A low-level client for the mappings' own traffic: quick to give up, since callers try again."""
    return boto3.client(
        service,  # type: ignore[call-overload]  # the stubs want a literal; each caller names its type
        config=Config(
            connect_timeout=2,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=32,
            parameter_validation=False,
            tcp_keepalive=True,
        ),
    )
