"""MiniStack's REST APIs, imported from a description and overwritten with one, as `chalice deploy` does it.

MiniStack takes ImportRestApi for CreateRestApi, so that the API has a name and no routes, and does not know
PutRestApi at all: without this, no API that Chalice deployed answers, and no second deployment ends well.
Reading such a description is MiniStack's own; CloudFormation's templates bring theirs that way.  Unlike AWS,
what is overwritten takes effect at once and not with the next deployment.  Nothing happens where MiniStack
has changed.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

_NEEDED = ("handle_request", "_import_rest_api", "_get_rest_api", "_delete_rest_api", "_rest_apis")

#: What a description says of an API, by API; the rest (stages, tags, name) is the API's own.
_DESCRIBED = ("_resources", "_authorizers_v1")


def take_descriptions(apigateway: Any) -> None:
    """Have this MiniStack's API Gateway read what ImportRestApi and PutRestApi bring."""
    if not all(hasattr(apigateway, name) for name in (*_NEEDED, *_DESCRIBED)):
        return
    handle: Callable[..., Awaitable[Any]] = apigateway.handle_request

    async def handle_request(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
    ) -> Any:
        parts = path.strip("/").split("/")
        mode = query_params.get("mode", "")
        if parts == ["restapis"] and method == "POST" and "import" in mode:
            made = apigateway._import_rest_api(json.loads(body))
            return 201, *apigateway._get_rest_api(made)[1:]
        if parts[0] == "restapis" and len(parts) == 2 and method == "PUT" and "overwrite" in mode:
            if parts[1] in apigateway._rest_apis:
                _overwrite(apigateway, parts[1], json.loads(body))
            return apigateway._get_rest_api(parts[1])
        return await handle(method, path, headers, body, query_params)

    apigateway.handle_request = handle_request


def _overwrite(apigateway: Any, api: str, description: dict[str, Any]) -> None:
    """Give an API the routes of another, made for this and removed again: reading can only make one."""
    made = apigateway._import_rest_api(description)
    for name in _DESCRIBED:
        getattr(apigateway, name)[api] = getattr(apigateway, name)[made]
    apigateway._delete_rest_api(made)
