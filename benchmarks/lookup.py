"""lookup: `GET /products/{serial}` through the handler, against one bare Query of the same page.

Against the stub, which finds a page as DynamoDB does; the histories have the producer's mix of types, without
voids.  `product_with_voids` has two more events, which are voids; then the handler makes two Queries, and so
do `bare_queries_of_product_with_voids`.  `page_of_10` is the events route with `limit=10`: the same number of
events whatever the history, with one Query for them and one for voids, as `bare_queries_of_10`.
"""

import functools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import contenders
from benchmarks.harness import dataset, measure
from benchmarks.harness.measure import Line, Plan
from local.observers.counters import percentile

HISTORIES, QUICK_HISTORIES = (10, 1_000, 100_000), (10, 1_000)
LOOKUPS, QUICK_LOOKUPS = 300, 50
VOIDS = 2


def run(plan: Plan) -> Iterator[Line]:
    """A line per length of history and contender."""
    histories = QUICK_HISTORIES if plan.quick else HISTORIES
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    with measure.stub() as url:
        plan.say("lookup: storing the histories")
        serials = measure.child("benchmarks.lookup:store", url, histories=histories)
        for number in range(plan.runs):
            plan.say(f"lookup: run {number + 1} of {plan.runs}")
            measured = measure.child(
                "benchmarks.lookup:timed",
                url,
                serials=serials,
                lookups=QUICK_LOOKUPS if plan.quick else LOOKUPS,
            )
            for name, length, figures in measured:
                runs.setdefault((name, length), []).append(figures)
    for (name, length), done in runs.items():
        yield measure.line({"benchmark": "lookup", "contender": name, "history": length}, done)


def store(histories: list[int]) -> list[tuple[int, str, str]]:
    """Runs in a process of its own: each length, and the serials of two histories of it, one with voids."""
    handle = contenders.ours()
    serials = []
    for number, length in enumerate(histories):
        plain = dataset.without_voids(length, dataset.SEED + number)
        voided = dataset.without_voids(length, dataset.SEED + len(histories) + number)
        for data in (plain, voided + dataset.voids_of(voided[-VOIDS:])):
            for event in dataset.lambda_events(data):
                handle(event)
        serials.append((length, dataset.serial_of(plain[0]), dataset.serial_of(voided[0])))
    return serials


def timed(serials: list[tuple[int, str, str]], lookups: int) -> list[tuple[str, int, dict[str, float]]]:
    """Runs in a process of its own: contenders and lengths take turns, lookup after lookup."""
    import boto3
    from botocore.config import Config

    import app
    from chalicelib import settings

    context = contenders.Context()
    # As lean as boto3 lets one have it without other code; ours has these settings, too.
    dynamodb = boto3.client("dynamodb", config=Config(parameter_validation=False, user_agent="bare"))

    def get(event: dict[str, Any]) -> int:
        answer = app.app(event, context)
        assert answer["statusCode"] == 200, answer
        return int(answer["body"].count('"occurred_at"'))

    def query(serial: str, limit: int, **more: Any) -> Any:
        return dynamodb.query(
            **{
                "TableName": settings.history_table(),
                "KeyConditionExpression": "serial = :serial",
                "ExpressionAttributeValues": {":serial": {"S": serial}},
                "ScanIndexForward": False,
                "Limit": limit,
                **more,
            }
        )

    def count(serial: str) -> int:
        return len(query(serial, 51)["Items"])

    def count_with_voids(serial: str) -> int:
        first = query(serial, 51)
        if "LastEvaluatedKey" not in first:
            return len(first["Items"])
        second = query(serial, VOIDS, ExclusiveStartKey=first["LastEvaluatedKey"])
        return len(first["Items"]) + len(second["Items"])

    def count_10(serial: str) -> int:
        events = query(serial, 11, **_between(serial, "0", "~"))
        return len(events["Items"]) + len(query(serial, 11, **_between(serial, "~", "~~"))["Items"])

    asked: dict[tuple[str, int], Callable[[], int]] = {}
    for length, serial, voided in serials:
        product = dataset.http_event("/products/{serial}", serial)
        page = dataset.http_event("/products/{serial}/events", serial, limit="10")
        asked["product", length] = functools.partial(get, product)
        asked["page_of_10", length] = functools.partial(get, page)
        asked["product_with_voids", length] = functools.partial(
            get, dataset.http_event("/products/{serial}", voided)
        )
        # As many as the handler asks for: one more than it shows.
        asked["bare_query_of_product", length] = functools.partial(count, serial)
        asked["bare_queries_of_10", length] = functools.partial(count_10, serial)
        asked["bare_queries_of_product_with_voids", length] = functools.partial(count_with_voids, voided)
    seconds: dict[tuple[str, int], list[float]] = {each: [] for each in asked}
    cpu_s: dict[tuple[str, int], list[float]] = {each: [] for each in asked}
    events = {each: ask() for each, ask in asked.items()}
    for _ in range(lookups):
        for each, ask in asked.items():
            cpu, started = time.process_time(), time.perf_counter()
            ask()
            seconds[each].append(time.perf_counter() - started)
            cpu_s[each].append(time.process_time() - cpu)
    return [
        (
            *each,
            {
                "p50_ms": statistics.median(seconds[each]) * 1000,
                "p99_ms": percentile(sorted(seconds[each]), 99) * 1000,
                "cpu_us_per_lookup": statistics.median(cpu_s[each]) * 1e6,
                "events": events[each],
            },
        )
        for each in asked
    ]


def _between(serial: str, low: str, high: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "serial = :serial AND #position BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#position": "position"},
        "ExpressionAttributeValues": {
            ":serial": {"S": serial},
            ":first": {"S": low},
            ":last": {"S": high},
        },
    }
