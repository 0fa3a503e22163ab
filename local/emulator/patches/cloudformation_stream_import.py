"""MiniStack's CloudFormation taking a stream into a stack that it is not in: `ops stack adopt`.

AWS imports streams as it imports tables and queues; MiniStack knows how for those two and not for streams,
and says so.  Nothing happens where MiniStack has learnt it, or has changed.
"""

from typing import Any

_STREAM = "AWS::Kinesis::Stream"


def allow(cloudformation: Any, kinesis: Any) -> None:
    """Have this MiniStack's change sets of the type IMPORT take streams, by name."""
    lookups: dict[str, Any] | None = _part(cloudformation, "changesets", "_IMPORT_LOOKUPS")
    handlers: dict[str, Any] = _part(cloudformation, "provisioners", "_RESOURCE_HANDLERS") or {}
    streams: Any = getattr(kinesis, "_streams", None)
    handler = handlers.get(_STREAM)
    if lookups is None or handler is None or streams is None or "import" in handler:
        return

    def problem(name: str) -> str | None:
        if name in streams:
            return None
        return f"Resource of type '{_STREAM}' with identifier '{name}' was not found."

    def take(identifier: dict[str, str]) -> tuple[str, dict[str, str]]:
        name = identifier["Name"]
        return name, {"Arn": streams[name]["StreamARN"]}

    lookups[_STREAM] = (("Name",), problem)
    handler["import"] = take


def _part(cloudformation: Any, module: str, name: str) -> Any:
    return getattr(getattr(cloudformation, module, None), name, None)
