"""Patches of MiniStack take hold of the pinned version, and fail by name on one that lacks a part."""

import gc
import sys
from collections.abc import Iterator
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest

from cli.exits import EXIT_OK, EXIT_UNAVAILABLE
from local.emulator import __main__ as emulator
from local.emulator import patches
from local.emulator.patches import parts
from local.emulator.patches.parts import PatchError

STREAM_HANDLERS = "provisioners._RESOURCE_HANDLERS.AWS::Kinesis::Stream"

#: Everything of MiniStack that a patch replaces or uses.
PARTS = [
    "apigateway_v1._authorizers_v1",
    "apigateway_v1._delete_rest_api",
    "apigateway_v1._get_rest_api",
    "apigateway_v1._import_rest_api",
    "apigateway_v1._resources",
    "apigateway_v1._rest_apis",
    "apigateway_v1.handle_request",
    "changesets._IMPORT_LOOKUPS",
    "dynamodb._query",
    "dynamodb._tables",
    "kinesis._compute_hash_ranges",
    "kinesis._describe_stream_summary",
    "kinesis._expire_iterators",
    "kinesis._expire_records",
    "kinesis._get_records",
    "kinesis._merge_shards",
    "kinesis._next_sequence_number",
    "kinesis._partition_key_to_hash",
    "kinesis._put_record",
    "kinesis._put_records",
    "kinesis._resolve_stream",
    "kinesis._route_to_shard",
    "kinesis._shard_iterators",
    "kinesis._shard_out",
    "kinesis._split_shard",
    "kinesis._streams",
    "kinesis._update_shard_count",
    "kinesis.error_response_json",
    "kinesis.handle_request",
    "kinesis.json_response",
    "lambda_svc._esms",
    "lambda_svc._kinesis_positions",
    STREAM_HANDLERS,
    f"{STREAM_HANDLERS}.update",
]


def take_away(ministack: SimpleNamespace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    *path, last = name.split(".")
    holder: Any = ministack
    for each in path:
        holder = holder[each] if isinstance(holder, dict) else getattr(holder, each)
    if isinstance(holder, dict):
        monkeypatch.delitem(holder, last)
    else:
        monkeypatch.delattr(holder, last)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_ministack_does_not_have_is_named(
    name: str, ministack: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(ministack, name, monkeypatch)

    wanted = rf"^ministack {version('ministack')} has no (cloudformation\.)?{name}[.;].*: `make install`$"
    with pytest.raises(PatchError, match=wanted):
        emulator.patch(shard_limits=True)


def test_every_part_that_a_patch_touches_has_been_asked_for(
    ministack: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set()
    real = parts.part

    def part(module: Any, *path: str) -> Any:
        if path:
            asked.add(".".join((module.__name__.rpartition(".")[2], *path)))
        return real(module, *path)

    for module in (parts, *vars(patches).values()):
        if hasattr(module, "part"):
            monkeypatch.setattr(module, "part", part)
    before = {(module, name): id(value) for module, name, value in attributes(ministack)}

    emulator.patch(shard_limits=True)

    assert asked == set(PARTS)
    after = {(module, name): id(value) for module, name, value in attributes(ministack)}
    changed = {".".join(where) for where, value in after.items() if before.get(where) != value}
    assert "kinesis._get_records" in changed
    assert changed <= asked


def attributes(ministack: SimpleNamespace) -> Iterator[tuple[str, str, object]]:
    for name, module in vars(ministack).items():
        for attribute, value in vars(module).items():
            yield name, attribute, value


@pytest.fixture
def served(ministack: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each time that MiniStack would be served: whether it is patched."""
    served: list[bool] = []
    unpatched = ministack.kinesis._get_records
    monkeypatch.setattr(sys, "argv", ["local.emulator"])
    monkeypatch.setattr(
        "ministack.app.main", lambda: served.append(ministack.kinesis._get_records is not unpatched)
    )
    thresholds = gc.get_threshold()
    yield served
    gc.set_threshold(*thresholds)


def test_what_is_served_is_patched(served: list[bool]) -> None:
    assert emulator.main() == EXIT_OK

    assert served == [True]


def test_what_cannot_be_patched_is_not_served(
    served: list[bool],
    ministack: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delattr(ministack.kinesis, "_shard_out")

    assert emulator.main() == EXIT_UNAVAILABLE

    assert served == []
    assert f"error: ministack {version('ministack')} has no kinesis._shard_out; " in capsys.readouterr().err
