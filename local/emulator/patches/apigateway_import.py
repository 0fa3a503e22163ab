"""MiniStack's REST APIs, imported from a description and overwritten with one, as `chalice deploy` does it.

MiniStack takes ImportRestApi for CreateRestApi, so that the API has a name and no routes, and does not know
PutRestApi at all: without this, no API that Chalice deployed answers, and no second deployment ends well.
Reading such a description is MiniStack's own; CloudFormation's templates bring theirs that way.  Unlike AWS,
what is overwritten takes effect at once and not with the next deployment.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local.emulator.patches.parts import part, replace

#: What a description says of an API, by API; the rest (stages, tags, name) is the API's own.
_DESCRIBED = ("_resources", "_authorizers_v1")


def apply(apigateway: Any) -> None:
    """Have API Gateway read what ImportRestApi and PutRestApi bring.  Raises PatchError."""
    names = ("_import_rest_api", "_get_rest_api", "_delete_rest_api", "_rest_apis")
    import_api, get_api, delete_api, apis = (part(apigateway, name) for name in names)
    described = [part(apigateway, name) for name in _DESCRIBED]

    def overwrite(api: str, description: dict[str, Any]) -> None:
        """Give an API the routes of another, made for this and removed again: reading can only make one."""
        made = import_api(description)
        for of in described:
            of[api] = of[made]
        delete_api(made)

    @replace(apigateway, "handle_request")
    async def handle_request(
        handle: Callable[..., Awaitable[Any]],
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
    ) -> Any:
        parts = path.strip("/").split("/")
        mode = query_params.get("mode", "")
        if parts == ["restapis"] and method == "POST" and "import" in mode:
            return 201, *get_api(import_api(json.loads(body)))[1:]
        if parts[0] == "restapis" and len(parts) == 2 and method == "PUT" and "overwrite" in mode:
            if parts[1] in apis:
                overwrite(parts[1], json.loads(body))
            return get_api(parts[1])
        return await handle(method, path, headers, body, query_params)
