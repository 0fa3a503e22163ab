"""What PutRecords' refusals mean: try again, or stop.

The only place that reads botocore's errors on the way onto the stream.
"""

from botocore.exceptions import ClientError, ConnectionError, EndpointConnectionError, HTTPClientError

from chalicelib.errors import THROTTLING_CODES, LifecycleError

# Worth another attempt: the shard's limit, or AWS's own trouble.  Everything else is the same next time.
_PASSING = THROTTLING_CODES | {
    "InternalFailure",
    "InternalFailureException",
    "RequestTimeout",
    "ServiceUnavailable",
    "ServiceUnavailableException",
}

_INVALID = frozenset({"ValidationException", "InvalidArgumentException"})


class StreamUnavailableError(LifecycleError):
    """The stream cannot be written to, and trying again does not help.

    `reason` is `missing`, `no_answer` or `refused`.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def unavailable(
    stream: str, error: Exception, *, is_known: bool, is_last: bool
) -> StreamUnavailableError | None:
    """What the error of a whole request means for all requests to come; None when it may pass.

    `is_known`: the stream has accepted something before.  `is_last`: nobody has answered for long enough.
    """
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":
            return StreamUnavailableError("missing", f"stream {stream!r} not found")
        if code in _PASSING or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            return None
    elif isinstance(error, (HTTPClientError, ConnectionError)):
        # Nobody listens and nobody ever has: waiting for it would only hide that.
        if not is_last and (is_known or not isinstance(error, EndpointConnectionError)):
            return None
        return StreamUnavailableError("no_answer", str(error))
    return StreamUnavailableError("refused", str(error))


def is_too_large(error: Exception) -> bool:
    """Whether the endpoint may have refused the request for its size: it has no code of its own for that."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _INVALID
