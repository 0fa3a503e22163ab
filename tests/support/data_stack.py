"""The data stack of the stage `dev`, as the tests of `ops stack` make it and look at it."""

import json
from pathlib import Path
from typing import Any

import boto3

from ops.__main__ import main

STACK = "lifecycle-dev-data"


class Stages:
    """An infra/stages.json of the test's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # No alarms: the endpoint's CloudFormation knows no metric math.
        self._dev = {"Data": "disposable", "Watching": "off", "StreamMode": "PROVISIONED", "ShardCount": 1}
        self.set()

    def set(self, **parameters: Any) -> None:
        self._dev |= parameters
        self._path.write_text(json.dumps({"dev": self._dev}))


def exists() -> bool:
    found = boto3.client("cloudformation").list_stacks()["StackSummaries"]
    return any(each["StackName"] == STACK and each["StackStatus"] != "DELETE_COMPLETE" for each in found)


def apply(*options: str) -> int:
    return main(["stack", "apply", "--stage", "dev", *options])
