"""Where a pipeline that is kept lies."""

from pathlib import Path

import pytest

from cli.paths import ROOT
from local.commands.home import Home, default_home
from local.pipeline import PipelineError


def test_nothing_that_serve_writes_lies_where_chalice_local_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    assert ROOT not in default_home().parents


def test_the_users_state_directory_is_respected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert default_home().parent == tmp_path / "product-lifecycle-history"


@pytest.mark.parametrize("where", ["README.md", "README.md/below"])
def test_a_home_where_nothing_can_be_kept_is_an_error_with_its_remedy(tmp_path: Path, where: str) -> None:
    (tmp_path / "README.md").touch()

    with (
        pytest.raises(PipelineError, match=r"README\.md.*: (File exists|Not a directory); .* --home$"),
        Home(tmp_path / where).locked(),
    ):
        pass
