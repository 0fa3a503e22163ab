"""The size of a response as Lambda counts it, and the pages that keep below its limit.

Lambda refuses a response of more than 6,291,556 bytes (its error message has the number), and API Gateway
then answers 502.  The runtime client serialises the response with `json.dumps`: a quotation mark in the body
takes two bytes, a character outside ASCII six, one outside the BMP twelve.
"""

from json.encoder import encode_basestring_ascii

#: Lambda's limit, and the one that our bodies keep: the rest is room for status and headers.
LAMBDA_MAX_BYTES = 6_291_556
MAX_BODY_BYTES = 5_980_000

_MAX_BYTES_PER_CHARACTER = 12


def serialised_bytes(body: str) -> int:
    """Return the bytes that `body` takes as a string of the proxy response."""
    return len(encode_basestring_ascii(body))


def fits(body: str) -> bool:
    """Whether a response with this body stays below 6,000,000 bytes."""
    return len(body) * _MAX_BYTES_PER_CHARACTER <= MAX_BODY_BYTES or serialised_bytes(body) <= MAX_BODY_BYTES
