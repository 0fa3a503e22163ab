"""The Accept header, and the representations that it may choose from."""

import re

from chalicelib.errors import NotAcceptableError
from chalicelib.text import quoted

#: What `format=` may say, and the media type it stands for: a link cannot set an Accept header.
FORMATS = {
    "json": "application/json",
    "html": "text/html",
    "epcis": "application/ld+json",
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
}

#: The representations of a product, and of its events, in the order of our preference.
PRODUCT_FORMATS = ("json", "html", "epcis")
EVENTS_FORMATS = ("json", "html", "csv", "ndjson", "epcis")

# RFC 9110, 12.5.1, leaving parameters other than q aside: none of ours has any.
_RANGE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*((?:;[^,]*)?)")
_WEIGHT = re.compile(r";\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)")


def negotiated(accept: str | None, offered: tuple[str, ...]) -> str:
    """The format that an Accept header likes best; the earlier one offered where it likes two alike.

    Raises NotAcceptableError when it likes none, or cannot be read.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [found for part in accept.split(",") if part.strip() for found in _range(part)]
    weights = {name: _weight(FORMATS[name], ranges) for name in offered}
    best = max(offered, key=lambda name: weights[name])
    if weights[best] <= 0:
        types = ", ".join(FORMATS[name] for name in offered)
        raise NotAcceptableError(f"Accept: this address answers with {types}, got {quoted(accept)}")
    return best


def prefers_html(accept: str | None) -> bool:
    """Whether a caller would rather read a page than JSON, whatever the address offers."""
    try:
        return negotiated(accept, ("json", "html")) == "html"
    except NotAcceptableError:
        return False


def _range(part: str) -> list[tuple[str, str, float]]:
    match = _RANGE.fullmatch(part)
    if match is None:
        return []
    kind, subtype, rest = match.groups()
    if not rest:
        return [(kind.lower(), subtype.lower(), 1.0)]
    weight = _WEIGHT.search(rest)
    return [(kind.lower(), subtype.lower(), float(weight.group(1)) if weight else 1.0)]


def _weight(media_type: str, ranges: list[tuple[str, str, float]]) -> float:
    """What the most specific range says of this type."""
    kind, _, subtype = media_type.partition("/")
    for wanted in ((kind, subtype), (kind, "*"), ("*", "*")):
        weights = [weight for *range_, weight in ranges if tuple(range_) == wanted]
        if weights:
            return max(weights)
    return 0.0
