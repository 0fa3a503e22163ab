"""API Gateway's greedy path variables (`/{proxy+}`) for Chalice's local server.

Chalice takes `/{proxy+}` for a variable of one segment (aws/chalice pull request 2012, open).  API Gateway
gives it every path that no other route matches ("Set up a proxy integration with a proxy resource", Amazon
API Gateway Developer Guide).
"""

from urllib.parse import parse_qs, urlsplit

from chalice import local

_GREEDY = "/{proxy+}"


class GreedyRouteMatcher(local.RouteMatcher):
    """Chalice's matcher, which falls back to a greedy route at the root."""

    def match_route(self, url: str) -> local.MatchResult:
        """Match a path and its query string.  Raises ValueError where no route takes it."""
        try:
            return super().match_route(url)
        except ValueError:
            if _GREEDY not in self.route_urls:
                raise
        split = urlsplit(url)
        query = parse_qs(split.query, keep_blank_values=True)
        return local.MatchResult(_GREEDY, {"proxy": split.path.strip("/")}, query)


def match() -> None:
    """Have every local server of this process match greedily from now on."""
    local.RouteMatcher = GreedyRouteMatcher  # type: ignore[misc]
