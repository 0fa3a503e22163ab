"""What is counted, under which names: CloudWatch metrics that travel inside the log lines (EMF).

The only place that knows metric names.  CloudWatch takes metrics out of a line that carries the embedded
metric format, so a batch costs one line and no request.  Types and reasons are part of the names, not a
dimension: a blob can give a dimension only one value, and a line per type would cost more than the table.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib import settings
from chalicelib.domain.lifecycle import KINDS

NAMESPACE = "Lifecycle"

#: Types and reasons that are not known beforehand share one name: whoever sends them must not make metrics.
OTHER = "other"

#: Reasons for quarantine: those of RecordError, and those that triage gives.
REASONS = (
    "not_utf8",
    "not_json",
    "invalid_event",
    "invalid_aggregate",
    "too_large",
    "refused",
    "handler_error",
    "not_an_invocation_record",
    "foreign_stream",
)

#: Values of one metric in one line: enough for percentiles of a batch; EMF takes at most 100.
MAX_VALUES = 20

Values = float | Sequence[float]


def camel(code: str) -> str:
    """A type's or reason's part of a metric name: `dealer_registration` is `DealerRegistration`."""
    return "".join(word.title() for word in code.split("_"))


def by_code(name: str, counts: Mapping[str, int], known: Iterable[str]) -> dict[str, Values]:
    """A count per known code, and one for all others."""
    known = frozenset(known)
    values: dict[str, Values] = {}
    for code, count in counts.items():
        key = name + camel(code if code in known else OTHER)
        earlier = values.get(key, 0)
        assert isinstance(earlier, int), "only counts are added up here"
        values[key] = earlier + count
    return values


def stored(types: Mapping[str, int]) -> dict[str, Values]:
    """Stored events, in all and by type."""
    return {"Stored": sum(types.values()), **by_code("Stored", types, KINDS)}


def quarantined(reasons: Mapping[str, int]) -> dict[str, Values]:
    """Records set aside, in all and by reason."""
    return {"Quarantined": sum(reasons.values()), **by_code("Quarantined", reasons, REASONS)}


def sample(values: Sequence[float]) -> list[float]:
    """At most MAX_VALUES of the values, evenly over their order, smallest and largest among them."""
    ordered = sorted(values)
    if len(ordered) <= MAX_VALUES:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(index * last / (MAX_VALUES - 1))] for index in range(MAX_VALUES)]


#: Every metric, and its unit where that is not a count.
UNITS = {"ArrivalToStored": "Milliseconds"}
NAMES = frozenset(
    {
        *("Stored", *(f"Stored{camel(type_)}" for type_ in (*KINDS, OTHER))),
        *("Quarantined", *(f"Quarantined{camel(reason)}" for reason in (*REASONS, OTHER))),
        *("Duplicates", "ItemFailures", "ThrottledRequests", "ArrivalToStored", "Expired", "TriageStored"),
    }
)


def embedded(values: Mapping[str, Values]) -> dict[str, Any]:
    """The members that make a log line carry these metrics; without any, nothing.

    A name that is not in NAMES is a bug and raises ValueError: alarms refer to names.
    """
    from aws_lambda_powertools.metrics import EphemeralMetrics

    if unknown := sorted(values.keys() - NAMES):
        raise ValueError(f"no such metric: {', '.join(unknown)}")
    blob = EphemeralMetrics(namespace=NAMESPACE, service=f"{settings.APP_NAME}-{settings.stage()}")
    for name, value in values.items():
        for one in value if isinstance(value, Sequence) else [value]:
            blob.add_metric(name=name, unit=UNITS.get(name, "Count"), value=one)
    return dict(blob.serialize_metric_set()) if blob.metric_set else {}
