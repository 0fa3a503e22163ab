"""docs/operating.md's section on resharding as it stands, on a stage that is deployed and being written to.

As in a rehearsal of docs/deploying.md: in a copy of the project, on an endpoint of the test's own.
"""

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3

from chalicelib.tables.markers import is_behind
from cli.exits import EXIT_FAILED
from cli.paths import ROOT
from producer.lives import lives
from tests.support import deploying_project
from tests.support.deploying_project import ON_THE_ENDPOINT, Terminal, commands
from tests.support.headings import says
from tests.support.positions import by_product
from tests.support.shards import open_shards, shards
from tests.support.waiting import eventually

PAGE = (ROOT / "docs" / "operating.md").read_text()
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
STREAM, TABLE = "lifecycle-prod-events", "lifecycle-prod-history"


class Stages:
    """The project's infra/stages.json, which the page says to change."""

    def __init__(self, project: Path) -> None:
        self._path = project / "infra" / "stages.json"
        [example] = re.findall(r'`"prod": (\{.*?\})`', deploying_project.section("Resharding", PAGE))
        self._prod = json.loads(example)
        assert self._prod["ShardCount"] == 8

    def set(self, shard_count: int) -> None:
        stages = json.loads(self._path.read_text())
        stages["prod"] = {**self._prod, "ShardCount": shard_count}
        self._path.write_text(json.dumps(stages))


def positions(dynamodb: Any) -> dict[str, set[str]]:
    """The events that the history holds, product by product."""
    found: dict[str, set[str]] = {}
    for page in dynamodb.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True):
        for item in page["Items"]:
            if not is_behind(item["position"]["S"]):
                found.setdefault(item["serial"]["S"], set()).add(item["position"]["S"])
    return found


def test_the_page_reshards_a_stage_that_is_being_written_to_and_nothing_is_lost(
    terminal: Terminal, port: str, tmp_path: Path
) -> None:
    _, deploy, arm, *_ = commands("With chalice deploy")
    stage = "export LIFECYCLE_STAGE=prod"
    assert stage in commands("Operating", PAGE)
    would, apply = commands("Resharding", PAGE)
    stages = Stages(tmp_path / "project")
    at = {"endpoint_url": f"http://127.0.0.1:{port}"}
    kinesis, dynamodb = boto3.client("kinesis", **at), boto3.client("dynamodb", **at)

    does = terminal.does
    does(deploying_project.exported(port))
    does(stage)
    stages.set(4)
    does(apply + ON_THE_ENDPOINT)
    does(deploy.replace("--stage dev", "--stage prod"))
    does(arm.replace("--stage dev", "--stage prod"))
    assert len(open_shards(kinesis, STREAM)) == 4

    sent = list(lives(3000, 100, 7, NOW))
    wanted = by_product(sent)

    def held() -> int:
        return sum(map(len, positions(dynamodb).values()))

    with ThreadPoolExecutor() as pool:
        for how, part, shard_count in (("", sent[:1500], 8), (" --aggregate", sent[1500:], 5)):
            pipe = tmp_path / f"events{how.strip()}"
            os.mkfifo(pipe)
            sending = pool.submit(does, f"python -m producer send --from - --json{how} < {pipe}")
            with pipe.open("wb") as events_s:
                events_s.writelines(data + b"\n" for data in part[:750])
                events_s.flush()
                stages.set(shard_count)
                changes = does(would + ON_THE_ENDPOINT)
                assert re.search(r"^Modify +Events ", changes, re.M)
                assert " True" not in changes
                does(apply + ON_THE_ENDPOINT)
                assert len(open_shards(kinesis, STREAM)) == shard_count
                events_s.writelines(data + b"\n" for data in part[750:])
            assert json.loads(sending.result())["sent"] == len(part)

    stages.set(11)
    too_far = terminal(apply + ON_THE_ENDPOINT)
    assert too_far.returncode == EXIT_FAILED
    assert "UPDATE_ROLLBACK_COMPLETE: Events: UpdateShardCount cannot scale up over double" in too_far.stderr
    assert says("UpdateShardCount cannot scale …", too_far.stderr)

    assert eventually(lambda: held() == 3000), held()
    assert positions(dynamodb) == wanted

    everything = does("python -m ops tail --since 1h --limit 3000 --json")
    assert {json.loads(line)["event"]["serial"] for line in everything.splitlines()} == wanted.keys()
    replayed = does("python -m ops replay --since 1h")
    assert replayed.startswith(f"3000 records of {len(shards(kinesis, STREAM))} shards since ")
    assert "3000 stored, 0 quarantined" in replayed
