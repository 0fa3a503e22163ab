"""Shards that have just brought something are read again soon, where the mapping is eager."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mappings import DEADLINE_S, Rig, eventually


@pytest.fixture
def rig(aws: str, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.mark.parametrize("is_eager", [True, False])
def test_what_follows_soon_does_not_wait_for_the_poll_interval(rig: Rig, is_eager: bool) -> None:
    with rig.running(batch_size=10, poll_interval_s=600.0, is_eager=is_eager) as mapping:
        assert eventually(mapping.drained)
        first = rig.put({"n": 1}, key="k")
        assert eventually(mapping.drained)  # has every shard read now, whatever the interval
        second = rig.put({"n": 2}, key="k")

        came = eventually(
            lambda: rig.delivered() == [first, second], within_s=DEADLINE_S if is_eager else 1.0
        )

    assert came is is_eager
