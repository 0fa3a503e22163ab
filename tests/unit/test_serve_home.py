"""Where a pipeline that is kept lies."""

from pathlib import Path

import pytest

from local.serve import default_home

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_that_serve_writes_lies_where_chalice_local_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    assert ROOT not in default_home().parents


def test_the_users_state_directory_is_respected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert default_home().parent == tmp_path / "product-lifecycle-history"
