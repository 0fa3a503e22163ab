"""Invocations as the mappings report them to observers."""

from local.event_sources.observer import Invocation


def an_invocation(source: str = "shardId-000000000001", **changed: object) -> Invocation:
    facts = {
        "function": "process_lifecycle",
        "source": source,
        "batch_size": 200,
        "outcome": "ok",
        "attempt": 1,
        "iterator_age_ms": 120.0,
        "started_at": 0.0,
        "seconds": 0.5,
    }
    return Invocation(**{**facts, **changed})  # type: ignore[arg-type]  # the names are checked by the call
