"""What `serve` says about who may ask: what the API's own settings say."""

import pytest

from local.commands import serve


@pytest.mark.parametrize(
    ("is_open", "said"),
    [
        ("yes", "open to this machine, without tokens"),
        ("no", "asks for a token: python -m ops token create makes one"),
    ],
)
def test_the_welcome_says_who_may_ask(monkeypatch: pytest.MonkeyPatch, is_open: str, said: str) -> None:
    monkeypatch.setenv("LIFECYCLE_STAGE", "local")
    monkeypatch.setenv("LIFECYCLE_OPEN", is_open)

    assert serve.access() == said
