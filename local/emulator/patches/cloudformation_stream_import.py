"""MiniStack's CloudFormation taking a stream into a stack that it is not in: `ops stack adopt`.

AWS imports streams as it imports tables and queues; MiniStack knows how for those two and not for streams.
"""

from typing import Any

from local.emulator.patches.parts import part

_STREAM = "AWS::Kinesis::Stream"


def apply(changesets: Any, provisioners: Any, kinesis: Any) -> None:
    """Have change sets of the type IMPORT take streams, by name.  Raises PatchError."""
    lookups = part(changesets, "_IMPORT_LOOKUPS")
    handlers = part(provisioners, "_RESOURCE_HANDLERS", _STREAM)
    streams = part(kinesis, "_streams")

    def problem(name: str) -> str | None:
        if name in streams:
            return None
        return f"Resource of type '{_STREAM}' with identifier '{name}' was not found."

    def take(identifier: dict[str, str]) -> tuple[str, dict[str, str]]:
        name = identifier["Name"]
        return name, {"Arn": streams[name]["StreamARN"]}

    lookups[_STREAM] = (("Name",), problem)
    handlers["import"] = take
