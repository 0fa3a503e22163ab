"""Small functions for the sandboxes and mappings under test to run: each does one thing a function may do."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def echo(event: Any, context: Any) -> Any:
    """Returns the event."""
    return event


def describe(event: Any, context: Any) -> dict[str, Any]:
    """Returns what the context and the environment say."""
    print("a line for the log")
    return {
        "pid": os.getpid(),
        "remaining_ms": context.get_remaining_time_in_millis(),
        "request_id": context.aws_request_id,
        "function_name": context.function_name,
        "memory_mb": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "version": context.function_version,
        "log_group": context.log_group_name,
        "log_stream": context.log_stream_name,
        "environment": dict(os.environ),
    }


def fail(event: Any, context: Any) -> None:
    """Raises."""
    raise ValueError("no such dealer")


def leave(event: Any, context: Any) -> None:
    """Ends its process with the status the event gives."""
    sys.exit(event["status"])


def sleep(event: Any, context: Any) -> int:
    """Makes the file that the event names, if it does, sleeps for its seconds, returns its process id."""
    if "path" in event:
        Path(event["path"]).touch()
    time.sleep(event["seconds"])
    return os.getpid()


def unspeakable(event: Any, context: Any) -> Any:
    """Returns what JSON cannot carry."""
    return {1, 2}


def large(event: Any, context: Any) -> str:
    """Returns that many characters."""
    return "x" * int(event["characters"])


def with_child(event: Any, context: Any) -> None:
    """Starts a process of its own, writes down its id, and hangs."""
    child = subprocess.Popen(["sleep", "600"])
    with open(event["path"], "w") as file:
        file.write(str(child.pid))
    child.wait()


def note(event: Any, context: Any) -> dict[str, Any]:
    """Appends what it was given to the file NOTES, one line an invocation; fails as the records say.

    A record's data is JSON.  `{"crash": true}` ends the process, `{"raise": true}` raises,
    `{"report": true}` is reported as a batch item failure, `{"hang": true}` never ends; with `"until": n`
    only the first n invocations of all do so.  `{"hold": path}` waits while there is a file of that name.
    """
    import base64

    records = event["Records"]
    data = [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in records]
    invocations = _note({"pid": os.getpid(), "at": time.time(), "records": records})
    failures = []
    for record, datum in zip(records, data, strict=True):
        while os.path.exists(datum.get("hold", "")):
            time.sleep(0.01)
        if invocations > datum.get("until", sys.maxsize):
            continue
        if datum.get("crash"):
            os._exit(3)
        if datum.get("hang"):
            time.sleep(600)
        if datum.get("raise"):
            raise ValueError("this record cannot be processed")
        if datum.get("report"):
            failures.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
    return {"batchItemFailures": failures}


def note_messages(event: Any, context: Any) -> dict[str, Any]:
    """The same for SQS messages, whose body says how to fail; `{"seconds": n}` takes that long."""
    bodies = [json.loads(record["body"]) for record in event["Records"]]
    _note({"at": time.time(), "records": event["Records"]})
    failures = []
    for record, body in zip(event["Records"], bodies, strict=True):
        time.sleep(body.get("seconds", 0))
        if body.get("raise"):
            raise ValueError("this message cannot be processed")
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        if receives <= body.get("report", 0):
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def _note(facts: dict[str, Any]) -> int:
    """Append a line to the file NOTES, in one write since several processes do; return how many it has."""
    path = os.environ["NOTES"]
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, f"{json.dumps(facts)}\n".encode())
    finally:
        os.close(file)
    with open(path) as notes:
        return sum(line.endswith("\n") for line in notes)
