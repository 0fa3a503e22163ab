"""write_units: what DynamoDB bills for an event as one product's history grows, on the embedded endpoint.

Voids are left out: one costs two write units, because its marker is an item, too.
"""

import json
from collections.abc import Iterator
from typing import Any

from benchmarks import contenders
from benchmarks.harness import dataset, endpoint, measure
from benchmarks.harness.measure import Line, Plan

EVENTS, QUICK_EVENTS = 1_000, 100


def run(plan: Plan) -> Iterator[Line]:
    """A line per contender and stretch of the history.  Counted, not timed: one run says it all."""
    events = QUICK_EVENTS if plan.quick else EVENTS
    with endpoint.running() as url:
        for name in ("ours", "read_modify_write"):
            plan.say(f"write units: {name}")
            units = measure.child(f"benchmarks.write_units:{name}", url, events=events)
            for first, last in _stretches(events):
                stretch = units[first - 1 : last]
                yield {
                    "benchmark": "write_units",
                    "contender": name,
                    "history_from": first,
                    "history_to": last,
                    "write_units_per_event": measure.rounded(sum(stretch) / len(stretch)),
                    "most_write_units": max(stretch),
                }


def ours(events: int) -> list[float]:
    """Runs in a process of its own: the write units of each event, through the deployed handler."""
    from chalicelib import wiring

    units: list[float] = []

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["body"] = b'{"ReturnConsumedCapacity":"TOTAL",' + params["body"][1:]

    def note(http_response: Any, **_: Any) -> None:
        consumed = json.loads(http_response.content)["ConsumedCapacity"]
        units.append(sum(each["CapacityUnits"] for each in consumed))

    hooks = wiring.session().get_component("event_emitter")
    hooks.register_last("before-call.dynamodb.BatchWriteItem", ask)  # after the body was put in place
    hooks.register("after-call.dynamodb.BatchWriteItem", note)
    handle = contenders.ours()
    for event in dataset.lambda_events(dataset.without_voids(events), size=1):
        handle(event)
    return units


def read_modify_write(events: int) -> list[float]:
    """Runs in a process of its own: the write units of each append."""
    import boto3

    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=contenders.PRODUCTS,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "serial", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "serial", "KeyType": "HASH"}],
    )
    units: list[float] = []
    for data in dataset.without_voids(events):
        answer = contenders.append(
            dynamodb, contenders.PRODUCTS, json.loads(data), ReturnConsumedCapacity="TOTAL"
        )
        units.append(answer["ConsumedCapacity"]["CapacityUnits"])
    return units


def _stretches(events: int) -> list[tuple[int, int]]:
    """Ten stretches of the history's growth."""
    step = events // 10
    return [(first, first + step - 1) for first in range(1, events, step)]
